//go:build !linux

package atomicfile

import "errors"

func syncFS(string) error { return errors.ErrUnsupported }
