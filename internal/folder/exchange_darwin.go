package folder

import (
	"os"

	"golang.org/x/sys/unix"
)

func exchangeat(a *os.File, name string, b *os.File, as string) error {
	return again(func() error {
		return unix.RenameatxNp(int(a.Fd()), name, int(b.Fd()), as, unix.RENAME_SWAP)
	})
}
