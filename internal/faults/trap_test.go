//go:build linux && amd64

package faults

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/pipe-build/pipe/internal/par"
)

// notice is struct seccomp_notif, and answer is struct seccomp_notif_resp.
type notice struct {
	id    uint64
	pid   uint32
	flags uint32
	nr    int32
	arch  uint32
	ip    uint64
	args  [6]uint64
}

type answer struct {
	id    uint64
	val   int64
	err   int32
	flags uint32
}

// trap decides about the calls of one program and its children.
type trap struct {
	fault
	dir   string // calls about other places are let through
	at    int    // the point: the number of the call that is struck, from 1; 0: none
	n     int    // calls that counted
	hit   *call  // the one that was struck
	there bool   // what it is about was there
	main  int    // the program's process
}

// fault is what happens at a point.
type fault struct {
	name   string
	counts func(*call) bool
	errno  unix.Errno // the call fails so; 0: pipe is killed
	crash  bool       // everything that it started dies with it, as when the machine does
	stays  bool       // the error comes at all later calls as well
}

// about says whether a call is about the world, starts a program, or sends to a remote.
func (tr *trap) about(c *call) bool {
	return strings.HasPrefix(c.path, tr.dir+"/") || c.kind == 'x' || c.kind == 'p' || c.kind == 'w' && strings.HasPrefix(c.path, "socket:")
}

// run runs a program until its main process has ended, which others may outlive.
// gone waits for them; until then they go on, or die at their next call after a crash.
func (tr *trap) run(t *testing.T, cmd *exec.Cmd) (gone func()) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	ours, theirs := pair[0], os.NewFile(uintptr(pair[1]), "trap")
	self, err := os.Executable()
	must(t, err)
	cmd.Path, cmd.Args = self, append([]string{self, cmd.Path}, cmd.Args[1:]...)
	cmd.Env = append(cmd.Env, shimEnv+"=1")
	cmd.ExtraFiles = []*os.File{theirs}
	must(t, cmd.Start())
	tr.main = cmd.Process.Pid
	must(t, theirs.Close())
	listener, err := receive(ours)
	must(t, errors.Join(err, unix.Close(ours)))
	if listener < 0 {
		_ = cmd.Wait()
		t.Fatal("seccomp's user notification is refused here: the sweep needs Linux 5.19, and a container whose profile allows seccomp(2)")
	}
	stop := par.Background(context.WithoutCancel(t.Context()), func(context.Context) { tr.serve(listener) })
	_ = cmd.Wait() // how it ended is in cmd.ProcessState
	return stop
}

// receive takes the listener from the shim; -1 when there is none.
func receive(socket int) (int, error) {
	oob := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(socket, make([]byte, 1), oob, 0)
	if err != nil || n == 0 {
		return -1, err
	}
	msgs, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil {
		return -1, err
	}
	fds, err := unix.ParseUnixRights(&msgs[0])
	if err != nil {
		return -1, err
	}
	return fds[0], nil
}

// serve answers calls until no process is left that could make one.
func (tr *trap) serve(listener int) {
	defer unix.Close(listener)
	for {
		p := []unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}}
		if _, err := unix.Poll(p, -1); err == unix.EINTR {
			continue
		}
		if p[0].Revents&unix.POLLIN == 0 {
			return // POLLHUP: all have ended
		}
		var n notice
		if !control(listener, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&n)) {
			continue // it ended, or was interrupted, between the poll and now
		}
		if a := tr.decide(&n); a != nil {
			control(listener, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(a)) // fails when its thread has ended
		}
	}
}

func control(fd int, request uintptr, arg unsafe.Pointer) bool {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(arg))
	return errno == 0
}

// decide answers a call; nil leaves it waiting, for a process that is being killed.
func (tr *trap) decide(n *notice) *answer {
	goOn := &answer{id: n.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
	if tr.crash && tr.hit != nil {
		_ = unix.Kill(int(n.pid), unix.SIGKILL)
		return nil
	}
	c := read(n)
	if c.prog == shimName || !tr.about(c) || !tr.counts(c) {
		return goOn
	}
	tr.n++
	if tr.at == 0 || tr.n < tr.at || tr.n > tr.at && !tr.stays {
		return goOn
	}
	if tr.hit == nil {
		tr.hit = c
		_, err := os.Lstat(c.path)
		tr.there = err == nil
	}
	if tr.errno != 0 {
		return &answer{id: n.id, err: -int32(tr.errno)}
	}
	_, err := os.Stat(fmt.Sprintf("/proc/%d/task/%d", tr.main, n.pid))
	_ = unix.Kill(tr.main, unix.SIGKILL)
	if err == nil {
		return nil
	}
	if tr.crash {
		_ = unix.Kill(int(n.pid), unix.SIGKILL)
		return nil
	}
	return goOn // a child's call: it does not notice
}

const (
	shimEnv  = "PIPE_FAULTS_SHIM"
	shimName = "faults.test"
)

// shim puts the filter on itself, hands its listener over and becomes the program.
func shim() error {
	runtime.LockOSThread() // the filter is a thread's, and exec keeps that of the thread that calls it
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	const socket = 3
	unix.CloseOnExec(socket)
	listener, err := filter()
	if err != nil {
		return err
	}
	if err := unix.Sendmsg(socket, []byte{0}, unix.UnixRights(listener), nil, 0); err != nil {
		return err
	}
	if err := os.Unsetenv(shimEnv); err != nil {
		return err
	}
	return unix.Exec(os.Args[1], os.Args[1:], os.Environ())
}

// filter hands the calls of sysnos to the listener that it returns, and lets all others through.
func filter() (listener int, err error) {
	prog := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}} // the call's number
	left := len(sysnos)
	for nr := range sysnos {
		prog = append(prog, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(nr), Jt: uint8(left)})
		left--
	}
	prog = append(prog,
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF})
	p := unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}
	// Killable: Go's preemption signals must not break a call that waits here, which would come, and count, again.
	flags := uintptr(unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&p)))
	if errno != 0 {
		return -1, os.NewSyscallError("seccomp "+strconv.Itoa(len(prog)), errno)
	}
	return int(fd), nil
}
