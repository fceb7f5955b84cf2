package statindex

import (
	"io/fs"
	"os"
)

// Stat is all of a file that tells a change without reading it. Times are in
// nanoseconds. Where the system has no device, inode or change time, they are 0
// or the modification time.
type Stat struct {
	Dev, Ino     uint64
	Size         int64
	Mtime, Ctime int64
	Mode         uint32
}

// Exec reports whether the owner may execute the file.
func (s Stat) Exec() bool { return s.Mode&0o100 != 0 }

// Kind is what lies at a name.
type Kind uint8

// The kinds.
const (
	IsFile Kind = iota + 1
	IsDir
	IsLink
	IsOther // a socket, a device
)

// Of describes what lies at a path; symlinks are followed.
func Of(path string) (Stat, Kind, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Stat{}, 0, err
	}
	return fromInfo(info), KindOf(info.Mode()), nil
}

// OfFile describes an open file.
func OfFile(f *os.File) (Stat, error) {
	info, err := f.Stat()
	if err != nil {
		return Stat{}, err
	}
	return fromInfo(info), nil
}

// KindOf returns the kind that a mode says.
func KindOf(m fs.FileMode) Kind {
	switch {
	case m.IsRegular():
		return IsFile
	case m.IsDir():
		return IsDir
	case m&fs.ModeSymlink != 0:
		return IsLink
	}
	return IsOther
}
