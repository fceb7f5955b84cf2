package atomicfile

import (
	"errors"
	"os"
)

// Probe reports by its error why nothing can be written in a directory: a page is
// written to a temporary file, because a full disk still takes an empty one.
func Probe(dir string) error {
	f, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, os.Getpagesize()))
	return errors.Join(err, f.Close(), os.Remove(f.Name()))
}
