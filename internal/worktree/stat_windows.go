package worktree

import "io/fs"

// fromInfo has no inode and no change time to look at: size and modification
// time are all that Windows gives without opening the file.
func fromInfo(info fs.FileInfo) stat {
	t := info.ModTime().UnixNano()
	return stat{size: info.Size(), mtime: t, ctime: t, mode: uint32(info.Mode().Perm())}
}
