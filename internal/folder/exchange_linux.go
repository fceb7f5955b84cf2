package folder

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

func exchangeat(a *os.File, name string, b *os.File, as string) error {
	for {
		err := unix.Renameat2(int(a.Fd()), name, int(b.Fd()), as, unix.RENAME_EXCHANGE)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
