package worktree

import (
	"io/fs"
	"syscall"
)

func fromInfo(info fs.FileInfo) stat {
	s := info.Sys().(*syscall.Stat_t)
	return stat{
		dev: uint64(s.Dev), ino: s.Ino, size: s.Size, mode: uint32(s.Mode),
		mtime: s.Mtimespec.Sec*1e9 + s.Mtimespec.Nsec, ctime: s.Ctimespec.Sec*1e9 + s.Ctimespec.Nsec,
	}
}
