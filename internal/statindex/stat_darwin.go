package statindex

import (
	"io/fs"
	"syscall"
)

// OfInfo describes what package os has looked at. It reads the stat that package os keeps behind a FileInfo.
func OfInfo(info fs.FileInfo) Stat {
	s := info.Sys().(*syscall.Stat_t)
	return Stat{
		Dev: uint64(s.Dev), Ino: s.Ino, Size: s.Size, Mode: uint32(s.Mode),
		Mtime: s.Mtimespec.Sec*1e9 + s.Mtimespec.Nsec, Ctime: s.Ctimespec.Sec*1e9 + s.Ctimespec.Nsec,
	}
}
