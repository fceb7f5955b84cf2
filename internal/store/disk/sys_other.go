//go:build !linux

package disk

import (
	"errors"
	"os"
)

func reflink(_, _ *os.File) bool { return false }

func syncFS(string) error { return errors.ErrUnsupported }
