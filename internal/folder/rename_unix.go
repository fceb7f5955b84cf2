//go:build unix

package folder

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

func renameat(from *os.File, name string, to *os.File, as string) error {
	return again(func() error { return unix.Renameat(int(from.Fd()), name, int(to.Fd()), as) })
}

func linkat(from *os.File, name string, to *os.File, as string) error {
	return again(func() error { return unix.Linkat(int(from.Fd()), name, int(to.Fd()), as, 0) })
}

// again repeats a call that a signal has interrupted.
func again(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
