package peer

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"postern/internal/testenv"
)

// S3 is an S3 server for tests, versitygw on a free port of 127.0.0.1, with one bucket that is a directory.
type S3 struct {
	Address     string // host:port, without TLS
	Bucket      string
	Credentials string // a file as ~/.aws/credentials is
	Dir         string // where the bucket's objects are files

	dir string
	cmd *exec.Cmd
	end chan struct{}
}

// versitygw builds the server once, from the module in test/peer/versitygw, and gives its path. What is built is kept
// beside the other programs that are not ours, by its version.
var versitygw = sync.OnceValues(func() (string, error) {
	source := filepath.Join(testenv.ModuleRoot(), "test", "peer", "versitygw")
	path := filepath.Join(testenv.PeersDir(), "versitygw", "versitygw-"+versitygwVersion)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	build := exec.Command("go", "build", "-C", source, "-trimpath", "-o", path, "github.com/versity/versitygw/cmd/versitygw")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building versitygw: %w\n%s", err, out)
	}
	return path, nil
})

// versitygwVersion is what test/peer/versitygw/go.mod names.
const versitygwVersion = "v1.8.0"

// NewS3 starts one, and ends it when the test ends.
func NewS3(t testing.TB) *S3 {
	t.Helper()
	binary, err := versitygw()
	if err != nil { // without the module proxy, say
		testenv.Skip(t, "%v", err)
	}
	dir := t.TempDir()
	s := &S3{Address: freePorts(t, 1)[0], Bucket: "mail", Credentials: filepath.Join(dir, "credentials"), Dir: filepath.Join(dir, "objects", "mail"), dir: dir}
	err = errors.Join(os.MkdirAll(s.Dir, 0o755),
		os.WriteFile(s.Credentials, []byte("[default]\naws_access_key_id = postern\naws_secret_access_key = of-the-tests\n"), 0o600))
	if err == nil {
		s.cmd = exec.Command(binary, "--port", s.Address, "posix", filepath.Dir(s.Dir))
		err = s.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// Start starts it again after Stop, with what it had.
func (s *S3) Start() error {
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(s.cmd.Path, s.cmd.Args[1:]...)
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY=postern", "ROOT_SECRET_KEY=of-the-tests")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return err
	}
	end := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(end)
	}()
	s.cmd, s.end = cmd, end
	for {
		if answer, err := http.Get("http://" + s.Address + "/"); err == nil {
			return answer.Body.Close()
		}
		select {
		case <-end:
			text, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			return fmt.Errorf("versitygw ended as it started\n%s", text)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Stop ends it.
func (s *S3) Stop() {
	_ = s.cmd.Process.Kill()
	<-s.end
}
