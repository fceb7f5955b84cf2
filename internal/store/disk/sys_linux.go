package disk

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// reflink makes the empty dst share src's blocks, where the file system can (XFS, btrfs).
func reflink(dst, src *os.File) bool {
	return unix.IoctlFileClone(int(dst.Fd()), int(src.Fd())) == nil
}

// syncFS makes everything on the file system of path durable.
func syncFS(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(f.Fd())), f.Close())
}
