package folder

import (
	"os"
	"path/filepath"
)

// renameat goes by paths: no call of Windows that package os or x/sys offers renames between
// two open directories. Only a user with a right of their own makes symlinks there.
func renameat(from *os.File, name string, to *os.File, as string) error {
	return os.Rename(filepath.Join(from.Name(), name), filepath.Join(to.Name(), as))
}

// linkat goes by paths for the same reason.
func linkat(from *os.File, name string, to *os.File, as string) error {
	return os.Link(filepath.Join(from.Name(), name), filepath.Join(to.Name(), as))
}
