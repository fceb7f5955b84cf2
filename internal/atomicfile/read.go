package atomicfile

import (
	"bytes"
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

// Open is Files.Open on the files of the system.
func Open(path string) (*os.File, error) { return Files{}.Open(path) }

// Open opens a regular file for reading, symlinks followed. A named pipe would
// wait for a writer and a device may never end, and no context could end that:
// neither is opened, but ErrSpecial.
func (files Files) Open(path string) (*os.File, error) {
	// O_NONBLOCK: opening a named pipe must not wait either.
	f, err := files.Disk().OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("%w, not a %s", ErrSpecial, TypeWord(info.Mode()))}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// ReadOnly reports whether an error says that this user may not write, or that nobody may.
func ReadOnly(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)
}

// MaxNote is the most bytes that are read of a small file that pipe or git keeps.
const MaxNote = 16 << 20

// Read is Files.Read on the files of the system.
func Read(path string, limit int64) ([]byte, error) { return Files{}.Read(path, limit) }

// Read returns the bytes of a file that Open opens, of at most limit bytes. More
// bytes are ErrLarge, whatever the size says.
func (files Files) Read(path string, limit int64) (b []byte, err error) {
	f, err := files.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	// The size is where to begin, so that a large file is not copied while it is read.
	buf := bytes.NewBuffer(make([]byte, 0, min(info.Size(), limit)+bytes.MinRead))
	if info.Size() <= limit {
		_, err = buf.ReadFrom(io.LimitReader(f, limit+1))
	}
	if err == nil && max(info.Size(), int64(buf.Len())) > limit {
		return nil, &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("%w: more than %d bytes", ErrLarge, limit)}
	}
	return buf.Bytes(), err
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
