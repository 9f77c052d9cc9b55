package peer

import (
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// stopPatience is how long a server gets to end after SIGTERM before its whole process group is killed.
const stopPatience = 10 * time.Second

// start starts a server in a process group of its own with its output going to log, and ends the whole group when
// the test ends. Should the test binary itself be killed, the kernel ends the server.
func start(t testing.TB, cmd *exec.Cmd, log *lockedBuffer) {
	t.Helper()
	cmd.Stdout, cmd.Stderr = log, log
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", cmd.Path, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Errorf("%s ended before the test did: %v\n%s", cmd.Path, err, log)
		}
		select {
		case <-ended:
		case <-time.After(stopPatience):
			t.Errorf("%s did not end within %v of SIGTERM\n%s", cmd.Path, stopPatience, log)
		}
		// What is left of the group: servers with many processes may leave one behind for a moment.
		if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil && err != syscall.ESRCH {
			t.Errorf("ending the processes of %s: %v", cmd.Path, err)
		}
		if t.Failed() {
			t.Logf("log of %s:\n%s", cmd.Path, log)
		}
	})
}
