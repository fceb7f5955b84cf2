//go:build !windows

package process_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/pipe-build/pipe/internal/process"
)

func TestAProcessKnowsWhetherItIsAlive(t *testing.T) {
	if !process.Alive(os.Getpid()) || !process.GroupAlive(syscall.Getpgrp()) {
		t.Error("we are not alive")
	}
	cmd := exec.Command("true")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	pid := cmd.Process.Pid
	if process.Alive(pid) || process.GroupAlive(pid) || process.Alive(0) || process.GroupAlive(-1) {
		t.Errorf("%d is alive", pid)
	}
}

func TestAncestryLeadsFromThisProcessToItsParents(t *testing.T) {
	line := process.Ancestry()
	if len(line) < 2 || line[0].PID != os.Getpid() || line[0].Group != syscall.Getpgrp() || line[1].PID != os.Getppid() || line[0].Parent != line[1].PID {
		t.Errorf("%+v", line)
	}
	// The kernel cuts the name.
	if name := filepath.Base(os.Args[0]); len(line) > 0 && !strings.HasPrefix(name, line[0].Name) {
		t.Errorf("%q is not %q", line[0].Name, name)
	}
}

// child starts a program that waits for the end of its input, with a name of its own.
func child(t *testing.T, name string, files ...*os.File) int {
	t.Helper()
	cat, err := exec.LookPath("cat")
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), name)
	if err := os.Symlink(cat, link); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(link)
	cmd.ExtraFiles = files
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	if _, err := in.Write([]byte("up\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return cmd.Process.Pid
}
