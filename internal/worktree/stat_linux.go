package worktree

import (
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

func fromInfo(info fs.FileInfo) stat {
	s := info.Sys().(*syscall.Stat_t)
	return stat{
		dev: uint64(s.Dev), ino: s.Ino, size: s.Size, mode: s.Mode,
		mtime: s.Mtim.Sec*1e9 + s.Mtim.Nsec, ctime: s.Ctim.Sec*1e9 + s.Ctim.Nsec,
	}
}

// directory is an open directory: a name is looked up relative to it, which
// costs half of what a whole path does.
type directory struct {
	fd   int
	path string
}

func openDir(path string) (*directory, error) {
	for {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: path, Err: err}
		}
		return &directory{fd, path}, nil
	}
}

func (d *directory) close() { _ = unix.Close(d.fd) }

func (d *directory) stat() (stat, error) {
	var s unix.Stat_t
	if err := unix.Fstat(d.fd, &s); err != nil {
		return stat{}, &fs.PathError{Op: "stat", Path: d.path, Err: err}
	}
	return fromSys(&s), nil
}

// lstat does not follow symlinks.
func (d *directory) lstat(name string) (stat, kind, error) {
	var s unix.Stat_t
	if err := unix.Fstatat(d.fd, name, &s, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return stat{}, 0, &fs.PathError{Op: "lstat", Path: d.path + "/" + name, Err: err}
	}
	return fromSys(&s), sysKind(s.Mode), nil
}

func fromSys(s *unix.Stat_t) stat {
	return stat{
		dev: uint64(s.Dev), ino: s.Ino, size: s.Size, mode: s.Mode,
		mtime: s.Mtim.Sec*1e9 + s.Mtim.Nsec, ctime: s.Ctim.Sec*1e9 + s.Ctim.Nsec,
	}
}

func sysKind(mode uint32) kind {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return kindFile
	case unix.S_IFDIR:
		return kindDir
	case unix.S_IFLNK:
		return kindLink
	}
	return kindOther
}

// list returns all names with their kinds, unsorted.
func (d *directory) list() ([]fs.DirEntry, error) {
	fd, err := unix.Dup(d.fd)
	if err != nil {
		return nil, err
	}
	unix.CloseOnExec(fd)
	f := os.NewFile(uintptr(fd), d.path)
	defer func() { _ = f.Close() }()
	return f.ReadDir(-1)
}
