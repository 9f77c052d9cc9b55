package peer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"postern/internal/testenv"
)

// PostgreSQL is a database server for tests, on a free port of 127.0.0.1, with its data in a directory of its own.
// It keeps what it acknowledges (fsync is on), as the cluster store demands.
type PostgreSQL struct {
	dir  string
	port int
	bin  string
	env  []string
	cmd  *exec.Cmd
	end  chan struct{} // closed when the process has ended
}

// NewPostgreSQL makes and starts one, or skips the test where it was not fetched. Stop ends it: a package that has many
// tests starts it once, in the first that needs it, and stops it in TestMain.
func NewPostgreSQL(t testing.TB) *PostgreSQL {
	t.Helper()
	binary := testenv.Need(t, "postgresql")
	p := &PostgreSQL{bin: filepath.Dir(binary)}
	for _, program := range testenv.Programs() {
		if program.Name == "postgresql" {
			p.env = append(program.Environment(), "LC_ALL=C", "TZ=UTC", "PATH="+os.Getenv("PATH"))
		}
	}
	err := p.make()
	if err == nil {
		err = p.Start()
	}
	if err != nil {
		p.Stop()
		t.Fatal(err)
	}
	return p
}

// credentials makes a process nobody's where it would be root's: PostgreSQL refuses root.
func credentials() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Pdeathsig: syscall.SIGQUIT}
	if os.Geteuid() == 0 {
		a.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	return a
}

// nobody is the number of Debian's user nobody and its group nogroup.
const nobody = 65534

func (p *PostgreSQL) make() error {
	var err error
	if p.dir, err = os.MkdirTemp("", "postern-postgresql-"); err != nil {
		return err
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(p.dir, nobody, nobody); err != nil {
			return err
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	p.port = listener.Addr().(*net.TCPAddr).Port
	listener.Close()
	initdb := exec.Command(filepath.Join(p.bin, "initdb"), "-D", filepath.Join(p.dir, "data"), "-U", "postern", "-A", "trust",
		"-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions")
	initdb.Dir, initdb.Env, initdb.SysProcAttr = p.dir, p.env, credentials()
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return nil
}

// Start starts the server again after Kill.
func (p *PostgreSQL) Start() error {
	log, err := os.OpenFile(filepath.Join(p.dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	p.cmd = exec.Command(filepath.Join(p.bin, "postgres"), "-D", filepath.Join(p.dir, "data"), "-k", p.dir,
		"-c", "listen_addresses=127.0.0.1", "-c", fmt.Sprintf("port=%d", p.port), "-c", "max_connections=200",
		"-c", "shared_buffers=32MB", "-c", "jit=off", "-c", "restart_after_crash=off")
	p.cmd.Dir, p.cmd.Env, p.cmd.SysProcAttr = p.dir, p.env, credentials()
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("start PostgreSQL: %w", err)
	}
	p.end = make(chan struct{})
	go func(cmd *exec.Cmd, end chan struct{}) {
		_ = cmd.Wait()
		close(end)
	}(p.cmd, p.end)
	for {
		ready := exec.Command(filepath.Join(p.bin, "pg_isready"), "-q", "-h", "127.0.0.1", "-p", fmt.Sprint(p.port))
		ready.Env = p.env
		if err := ready.Run(); err == nil {
			return nil
		} else if _, exited := errors.AsType[*exec.ExitError](err); !exited {
			return fmt.Errorf("pg_isready: %w", err)
		}
		select {
		case <-p.end:
			return fmt.Errorf("PostgreSQL ended as it started\n%s", p.Log())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Kill ends the server as a crash would: without a checkpoint, with commits under way.
func (p *PostgreSQL) Kill() { p.signal(syscall.SIGQUIT) }

// signal ends the server and waits for it.
func (p *PostgreSQL) signal(how syscall.Signal) {
	if p.cmd == nil || p.cmd.Process == nil {
		return
	}
	_ = p.cmd.Process.Signal(how)
	select {
	case <-p.end:
	case <-time.After(stopPatience):
		_ = p.cmd.Process.Kill()
		<-p.end
	}
}

// Stop ends the server and removes its data.
func (p *PostgreSQL) Stop() {
	p.signal(syscall.SIGINT)
	_ = os.RemoveAll(p.dir)
}

// Address is host:port.
func (p *PostgreSQL) Address() string { return fmt.Sprintf("127.0.0.1:%d", p.port) }

// URL names a schema of the server's one database, which Schema has made.
func (p *PostgreSQL) URL(schema string) string { return p.URLBy(p.Address(), schema) }

// URLBy is URL with another way to the server, as a proxy of the test.
func (p *PostgreSQL) URLBy(address, schema string) string {
	return fmt.Sprintf("postgres://postern@%s/postgres?sslmode=disable&search_path=%s", address, schema)
}

// Query gives one statement to the server, as psql prints the answer.
func (p *PostgreSQL) Query(ctx context.Context, statement string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(p.bin, "psql"), "-h", "127.0.0.1", "-p", fmt.Sprint(p.port), "-U", "postern", "-XAtq",
		"-v", "ON_ERROR_STOP=1", "-d", "postgres", "-c", statement)
	cmd.Env = p.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", statement, err, out)
	}
	return string(bytes.TrimSpace(out)), nil
}

// Log returns what the server has written.
func (p *PostgreSQL) Log() string {
	log, _ := os.ReadFile(filepath.Join(p.dir, "log"))
	return string(log)
}
