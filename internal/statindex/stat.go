package statindex

import (
	"io/fs"
	"os"
)

// Stat is all of a file that tells a change without reading it. Times are in
// nanoseconds since 1970. Where the system has no device, inode or change time, they
// are 0 or the modification time. Dev and Ino show a file that another was renamed
// over; Ctime shows any change of bytes or mode, and utimensat(2) cannot set it.
type Stat struct {
	Dev, Ino     uint64
	Size         int64
	Mtime, Ctime int64
	Mode         uint32
}

// Exec reports whether the owner may execute the file: the one bit of a mode that git
// keeps, and pipe after it. The bit is the same in st_mode and in fs.FileMode.
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

// Of describes what lies at a path; symlinks are followed, so the stat is the target's
// and a link that is turned to another file does not fit any more.
func Of(path string) (Stat, Kind, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Stat{}, 0, err
	}
	return OfInfo(info), KindOf(info.Mode()), nil
}

// OfFile describes an open file.
func OfFile(f *os.File) (Stat, error) {
	info, err := f.Stat()
	if err != nil {
		return Stat{}, err
	}
	return OfInfo(info), nil
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
