// Package atomicfile replaces files whole or not at all, and locks.
package atomicfile

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// Write replaces path with data: a temporary file in tmpDir (the directory of
// path when empty), fsync, rename, fsync of the directory. On an error path is
// as it was. tmpDir must be on the same file system.
func Write(path string, data []byte, perm os.FileMode, tmpDir string) (err error) {
	if tmpDir == "" {
		tmpDir = filepath.Dir(path)
	}
	f, err := os.OpenFile(filepath.Join(tmpDir, ".tmp-"+rand.Text()), os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("write %s: %w", path, err), f.Close(), os.Remove(f.Name()))
		}
	}()
	if _, err = f.Write(data); err != nil {
		return err
	}
	// A file that is replaced keeps its mode; a new one has perm, less the umask.
	if info, serr := os.Stat(path); serr == nil {
		if err = f.Chmod(info.Mode().Perm()); err != nil {
			return err
		}
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// SyncDir makes the names in dir survive a power cut. Windows has no such call; there it does nothing.
func SyncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
