package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// ErrSpecial says that a file is not one that can be read to its end.
var ErrSpecial = errors.New("must be a regular file")

// ErrLarge says that a file is larger than the caller reads.
var ErrLarge = errors.New("file is too large")

// Read returns the bytes of a regular file, symlinks followed, of at most limit
// bytes. A named pipe would wait for a writer and a device may never end, so
// neither is read: ErrSpecial. More bytes are ErrLarge, whatever the size says.
func Read(path string, limit int64) (b []byte, err error) {
	// O_NONBLOCK: opening a named pipe must not wait either.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("%w, not a %s", ErrSpecial, TypeWord(info.Mode()))}
	}
	b, err = io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		return nil, &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("%w: more than %d bytes", ErrLarge, limit)}
	}
	return b, err
}

// TypeWord is what people call a file that is not a regular one.
func TypeWord(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "directory"
	case m&fs.ModeSymlink != 0:
		return "symlink"
	case m&fs.ModeNamedPipe != 0:
		return "named pipe"
	case m&fs.ModeSocket != 0:
		return "socket"
	case m&fs.ModeDevice != 0:
		return "device"
	}
	return "special file"
}
