//go:build linux && amd64

package faults

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// sysno is a system call that the filter hands over: its name, what sort it is, and
// which argument says what it is about. o opens, q asks about a path, r reads by
// descriptor, w makes names or bytes, m changes modes, times and locks, d removes, x
// starts a program, p makes a pipe. "p1" is a path in argument 1, "a1" a directory
// in 1 and a path in 2, "f1" a descriptor in 1. Of two paths it is the new one.
type sysno struct {
	name  string
	kind  rune
	where string
}

var sysnos = map[int32]sysno{
	unix.SYS_OPEN: {"open", 'o', "p0"}, unix.SYS_CREAT: {"creat", 'w', "p0"}, unix.SYS_OPENAT: {"openat", 'o', "a0"}, unix.SYS_OPENAT2: {"openat2", 'o', "a0"},
	unix.SYS_STAT: {"stat", 'q', "p0"}, unix.SYS_LSTAT: {"lstat", 'q', "p0"}, unix.SYS_NEWFSTATAT: {"newfstatat", 'q', "a0"}, unix.SYS_STATX: {"statx", 'q', "a0"},
	unix.SYS_STATFS: {"statfs", 'q', "p0"}, unix.SYS_ACCESS: {"access", 'q', "p0"}, unix.SYS_FACCESSAT: {"faccessat", 'q', "a0"}, unix.SYS_FACCESSAT2: {"faccessat2", 'q', "a0"},
	unix.SYS_READLINK: {"readlink", 'q', "p0"}, unix.SYS_READLINKAT: {"readlinkat", 'q', "a0"},
	unix.SYS_FSTAT: {"fstat", 'r', "f0"}, unix.SYS_GETDENTS64: {"getdents64", 'r', "f0"}, unix.SYS_READ: {"read", 'r', "f0"}, unix.SYS_PREAD64: {"pread64", 'r', "f0"}, unix.SYS_CLOSE: {"close", 'r', "f0"},
	unix.SYS_WRITE: {"write", 'w', "f0"}, unix.SYS_PWRITE64: {"pwrite64", 'w', "f0"}, unix.SYS_COPY_FILE_RANGE: {"copy_file_range", 'w', "f2"}, unix.SYS_SENDFILE: {"sendfile", 'w', "f0"},
	unix.SYS_FSYNC: {"fsync", 'w', "f0"}, unix.SYS_FDATASYNC: {"fdatasync", 'w', "f0"}, unix.SYS_SYNCFS: {"syncfs", 'w', "f0"},
	unix.SYS_FTRUNCATE: {"ftruncate", 'w', "f0"}, unix.SYS_FALLOCATE: {"fallocate", 'w', "f0"}, unix.SYS_IOCTL: {"ioctl", 'w', "f0"},
	unix.SYS_MKDIR: {"mkdir", 'w', "p0"}, unix.SYS_MKDIRAT: {"mkdirat", 'w', "a0"}, unix.SYS_SYMLINK: {"symlink", 'w', "p1"}, unix.SYS_SYMLINKAT: {"symlinkat", 'w', "a1"},
	unix.SYS_LINK: {"link", 'w', "p1"}, unix.SYS_LINKAT: {"linkat", 'w', "a2"}, unix.SYS_RENAME: {"rename", 'w', "p1"}, unix.SYS_RENAMEAT: {"renameat", 'w', "a2"}, unix.SYS_RENAMEAT2: {"renameat2", 'w', "a2"},
	unix.SYS_RMDIR: {"rmdir", 'd', "p0"}, unix.SYS_UNLINK: {"unlink", 'd', "p0"}, unix.SYS_UNLINKAT: {"unlinkat", 'd', "a0"},
	unix.SYS_CHMOD: {"chmod", 'm', "p0"}, unix.SYS_FCHMOD: {"fchmod", 'm', "f0"}, unix.SYS_FCHMODAT: {"fchmodat", 'm', "a0"}, unix.SYS_FCHMODAT2: {"fchmodat2", 'm', "a0"},
	unix.SYS_UTIMENSAT: {"utimensat", 'm', "a0"}, unix.SYS_FLOCK: {"flock", 'm', "f0"}, unix.SYS_EXECVE: {"execve", 'x', "p0"}, unix.SYS_PIPE2: {"pipe2", 'p', ""},
}

// call is one system call that waits for an answer.
type call struct {
	sysno
	thread int
	prog   string // the name of the calling program
	path   string // absolute, or what /proc calls a socket or a pipe
	flags  uint64 // of an open
}

func (c *call) String() string { return fmt.Sprintf("%s: %s %s", c.prog, c.name, c.path) }

// changes says whether the call makes a difference to what a kill leaves.
func (c *call) changes() bool {
	if c.kind == 'o' {
		return c.flags&(unix.O_WRONLY|unix.O_RDWR|unix.O_CREAT|unix.O_TRUNC) != 0
	}
	return strings.ContainsRune("wmdx", c.kind)
}

// read finds out what a call is about while its thread waits.
func read(n *notice) *call {
	c := &call{sysno: sysnos[n.nr], thread: int(n.pid)}
	if b, err := os.ReadFile(c.proc("comm")); err == nil {
		c.prog = strings.TrimSpace(string(b))
	}
	if c.where == "" {
		return c
	}
	i := int(c.where[1] - '0')
	switch c.where[0] {
	case 'f':
		c.path = c.descriptor(n.args[i])
	case 'p':
		c.path = c.resolve(c.proc("cwd"), c.text(n.args[i]))
	case 'a':
		dir := c.proc("cwd")
		if fd := int32(n.args[i]); fd != unix.AT_FDCWD {
			dir = c.proc("fd/" + strconv.Itoa(int(fd)))
		}
		c.path = c.resolve(dir, c.text(n.args[i+1]))
		i++
	}
	switch c.name {
	case "open", "openat":
		c.flags = n.args[i+1]
	case "openat2":
		b := c.memory(n.args[i+1], 8)
		for k := len(b) - 1; k >= 0; k-- {
			c.flags = c.flags<<8 | uint64(b[k])
		}
	}
	return c
}

func (c *call) proc(name string) string { return fmt.Sprintf("/proc/%d/%s", c.thread, name) }

// descriptor names what a descriptor is open on; "" when it is not.
func (c *call) descriptor(fd uint64) string {
	name, _ := os.Readlink(c.proc("fd/" + strconv.Itoa(int(int32(fd)))))
	return name
}

func (c *call) resolve(dir, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	base, _ := os.Readlink(dir)
	return filepath.Join(base, path)
}

// memory reads from the calling process; less when not all of it is there.
func (c *call) memory(addr uint64, n int) []byte {
	b := make([]byte, n)
	local := []unix.Iovec{{Base: &b[0], Len: uint64(n)}}
	got, _ := unix.ProcessVMReadv(c.thread, local, []unix.RemoteIovec{{Base: uintptr(addr), Len: n}}, 0)
	return b[:max(got, 0)]
}

// text reads a C string, page by page: what follows its page may not be there.
func (c *call) text(addr uint64) string {
	var s []byte
	for len(s) < unix.PathMax {
		b := c.memory(addr, 4096-int(addr%4096))
		if end := bytes.IndexByte(b, 0); end >= 0 {
			return string(append(s, b[:end]...))
		}
		if len(b) == 0 {
			break
		}
		s, addr = append(s, b...), addr+uint64(len(b))
	}
	return string(s)
}
