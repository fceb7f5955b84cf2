//go:build !linux && !darwin

package folder

import (
	"errors"
	"os"
)

func exchangeat(*os.File, string, *os.File, string) error { return errors.ErrUnsupported }
