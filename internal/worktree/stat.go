package worktree

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

func now() int64 { return time.Now().UnixNano() }

func isNotDir(err error) bool { return errors.Is(err, syscall.ENOTDIR) }

// statPath follows symlinks.
func statPath(path string) (stat, kind, error) {
	info, err := os.Stat(path)
	if err != nil {
		return stat{}, 0, err
	}
	return fromInfo(info), kindOf(info.Mode()), nil
}

func statFile(f *os.File) (stat, error) {
	info, err := f.Stat()
	if err != nil {
		return stat{}, err
	}
	return fromInfo(info), nil
}

func kindOf(m fs.FileMode) kind {
	switch {
	case m.IsRegular():
		return kindFile
	case m.IsDir():
		return kindDir
	case m&fs.ModeSymlink != 0:
		return kindLink
	}
	return kindOther
}

// readlink returns a link's target with slashes.
func readlink(dir, name string) (string, error) {
	t, err := os.Readlink(filepath.Join(dir, name))
	return filepath.ToSlash(t), err
}
