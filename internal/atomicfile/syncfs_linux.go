package atomicfile

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

func syncFS(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(f.Fd())), f.Close())
}
