package statindex

import "io/fs"

// OfInfo describes what package os has looked at. It has no inode and no change time to look at: size and modification
// time are all that Windows gives without opening the file.
func OfInfo(info fs.FileInfo) Stat {
	t := info.ModTime().UnixNano()
	return Stat{Size: info.Size(), Mtime: t, Ctime: t, Mode: uint32(info.Mode().Perm())}
}
