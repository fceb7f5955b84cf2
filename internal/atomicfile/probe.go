package atomicfile

import (
	"errors"
	"io/fs"
	"os"
)

// Probe reports by its error why nothing can be written in a directory: a page is
// written to a temporary file, because a full disk still takes an empty one.
func Probe(dir string) error {
	f, err := os.CreateTemp(dir, ".probe-*")
	if err == nil {
		_, err = f.Write(make([]byte, os.Getpagesize()))
		err = errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	// The temporary file's name would say nothing.
	var at *fs.PathError
	if errors.As(err, &at) {
		return &fs.PathError{Op: "write in", Path: dir, Err: at.Err}
	}
	return err
}
