// Package atomicfile replaces files whole or not at all, and locks.
package atomicfile

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Write is Files.Write on the files of the system.
func Write(path string, data []byte, perm os.FileMode, tmpDir string) error {
	return Files{}.Write(path, data, perm, tmpDir)
}

// Write replaces path with data, for good: a temporary file in tmpDir (the
// directory of path when empty), fsync, rename, fsync of the directory. On an
// error path is as it was, or, when only the last step failed, replaced; never
// anything else, and to call it again is safe. tmpDir must be on the same file system.
func (fs Files) Write(path string, data []byte, perm os.FileMode, tmpDir string) error {
	if tmpDir == "" {
		tmpDir = filepath.Dir(path)
	}
	// A file that is replaced keeps its mode; a new one has perm, less the umask.
	var mode os.FileMode
	if info, err := fs.Disk().Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	tmp := filepath.Join(tmpDir, ".tmp-"+rand.Text())
	err := fs.make(tmp, data, perm, mode)
	if err == nil {
		if err = fs.Rename(tmp, path); err != nil {
			err = errors.Join(err, fs.Remove(tmp))
		}
	}
	if err == nil {
		err = fs.SyncDir(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// Make makes a new file of this very mode whose bytes are durable. Its name is
// not yet; on an error there is none.
func (fs Files) Make(path string, data []byte, mode os.FileMode) error {
	return fs.make(path, data, mode, mode)
}

func (fs Files) make(path string, data []byte, perm, mode os.FileMode) error {
	f, err := fs.Create(path, perm)
	if err != nil {
		return err
	}
	if err = fs.At(OpWrite, path); err == nil {
		_, err = f.Write(data)
	}
	if err == nil && mode != 0 {
		err = fs.Chmod(path, mode)
	}
	if err == nil {
		err = fs.Sync(f)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, fs.Remove(path))
	}
	return nil
}
