package statindex

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// OfInfo describes what package os has looked at. It must give what fromSys gives for the same file: one record is compared with
// stats from both.
func OfInfo(info fs.FileInfo) Stat {
	s := info.Sys().(*syscall.Stat_t)
	return Stat{
		Dev: uint64(s.Dev), Ino: s.Ino, Size: s.Size, Mode: s.Mode,
		Mtime: s.Mtim.Sec*1e9 + s.Mtim.Nsec, Ctime: s.Ctim.Sec*1e9 + s.Ctim.Nsec,
	}
}

// Directory is an open directory: a name is looked up relative to it, which
// costs half of what a whole path does.
type Directory struct {
	fd   int
	path string
}

// OpenDir opens a directory; symlinks are followed. The caller closes it. A signal may
// interrupt the call on some file systems; then it is made again, as package os does.
func OpenDir(path string) (*Directory, error) {
	for {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: path, Err: err}
		}
		return &Directory{fd, path}, nil
	}
}

// DirOf opens the directory of a root once more. The caller closes it.
func DirOf(r *os.Root) (*Directory, error) {
	f, err := r.Open(".")
	if e := (*fs.PathError)(nil); errors.As(err, &e) {
		return nil, &fs.PathError{Op: "open", Path: r.Name(), Err: e.Err} // os.Root says "."
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	return &Directory{fd, r.Name()}, err
}

// Close lets go of the directory.
func (d *Directory) Close() { _ = unix.Close(d.fd) }

// Stat describes the directory itself.
func (d *Directory) Stat() (Stat, error) {
	var s unix.Stat_t
	if err := unix.Fstat(d.fd, &s); err != nil {
		return Stat{}, &fs.PathError{Op: "stat", Path: d.path, Err: err}
	}
	return fromSys(&s), nil
}

// Lstat describes what lies at a name in it; symlinks are not followed.
func (d *Directory) Lstat(name string) (Stat, Kind, error) {
	var s unix.Stat_t
	if err := unix.Fstatat(d.fd, name, &s, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return Stat{}, 0, &fs.PathError{Op: "lstat", Path: d.path + "/" + name, Err: err}
	}
	return fromSys(&s), sysKind(s.Mode), nil
}

// Readlink returns where the symlink at a name in it leads.
func (d *Directory) Readlink(name string) (string, error) {
	for size := 128; ; size *= 2 {
		b := make([]byte, size)
		n, err := unix.Readlinkat(d.fd, name, b)
		if err != nil {
			return "", &fs.PathError{Op: "readlink", Path: d.path + "/" + name, Err: err}
		}
		if n < size {
			return string(b[:n]), nil
		}
	}
}

func fromSys(s *unix.Stat_t) Stat {
	return Stat{
		Dev: uint64(s.Dev), Ino: s.Ino, Size: s.Size, Mode: s.Mode,
		Mtime: s.Mtim.Sec*1e9 + s.Mtim.Nsec, Ctime: s.Ctim.Sec*1e9 + s.Ctim.Nsec,
	}
}

func sysKind(mode uint32) Kind {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return IsFile
	case unix.S_IFDIR:
		return IsDir
	case unix.S_IFLNK:
		return IsLink
	}
	return IsOther
}

// names returns all names with their kinds, unsorted. os.File owns the descriptor that
// it gets, so it gets a copy. A copy shares its position with the original, see dup(2):
// a directory can be listed once for each OpenDir.
func (d *Directory) names() ([]fs.DirEntry, error) {
	fd, err := unix.FcntlInt(uintptr(d.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), d.path)
	defer func() { _ = f.Close() }()
	return f.ReadDir(-1)
}
