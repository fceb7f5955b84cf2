//go:build unix

package folder

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

func renameat(from *os.File, name string, to *os.File, as string) error {
	for {
		err := unix.Renameat(int(from.Fd()), name, int(to.Fd()), as)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
