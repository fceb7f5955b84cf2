package atomicfile

import (
	"errors"
	"os"
	"runtime"
	"syscall"
)

// Op names a step that a power cut may come before or after.
type Op string

// The steps. Bytes are durable after OpSyncFile, names after OpSyncDir, and
// both after OpSyncFS; the others change what the next sync makes durable.
const (
	OpCreate   Op = "create"    // a new, empty file
	OpWrite    Op = "write"     // the bytes of a file
	OpChmod    Op = "chmod"     // its mode
	OpSyncFile Op = "sync-file" // fsync
	OpRename   Op = "rename"    // Path gets the name To
	OpLink     Op = "link"      // Path gets the name To beside its own
	OpRemove   Op = "remove"    // of a file
	OpMkdir    Op = "mkdir"     // a directory, and those above it
	OpSyncDir  Op = "sync-dir"  // fsync of a directory: the names in it
	OpSyncFS   Op = "sync-fs"   // syncfs of all that lies on one file system
)

// Step is one step that is about to be taken.
type Step struct {
	Op       Op
	Path, To string
}

// Files takes the steps that make a change survive a power cut. The zero value
// takes them as they come; tests set Before to see each of them, in order, or to
// fail it.
type Files struct {
	// Root, when set, is where all paths begin, and what they cannot leave.
	Root Disk
	// Before is called before each step, from the goroutine that takes it. On an
	// error the step is not taken and fails with it; on ErrSkip a sync is not
	// taken and succeeds.
	Before func(Step) error
}

// Disk is where files are changed: what package os can do, and an open directory (package
// folder) by paths below it.
type Disk interface {
	Stat(path string) (os.FileInfo, error)
	OpenFile(path string, flag int, perm os.FileMode) (*os.File, error)
	Chmod(path string, mode os.FileMode) error
	Rename(from, to string) error
	Link(from, to string) error
	Remove(path string) error
	Mkdir(path string, perm os.FileMode) error
	MkdirAll(path string, perm os.FileMode) error
	RemoveAll(path string) error
}

// system is the disk whose paths are the system's.
type system struct{}

func (system) Stat(path string) (os.FileInfo, error)        { return os.Stat(path) }
func (system) Chmod(path string, mode os.FileMode) error    { return os.Chmod(path, mode) }
func (system) Rename(from, to string) error                 { return os.Rename(from, to) }
func (system) Link(from, to string) error                   { return os.Link(from, to) }
func (system) Remove(path string) error                     { return os.Remove(path) }
func (system) Mkdir(path string, perm os.FileMode) error    { return os.Mkdir(path, perm) }
func (system) RemoveAll(path string) error                  { return os.RemoveAll(path) }
func (system) MkdirAll(path string, perm os.FileMode) error { return os.MkdirAll(path, perm) }
func (system) OpenFile(path string, flag int, perm os.FileMode) (*os.File, error) {
	return os.OpenFile(path, flag, perm)
}

// Disk returns where the files are: for what is no durable step.
func (fs Files) Disk() Disk {
	if fs.Root != nil {
		return fs.Root
	}
	return system{}
}

// ErrSkip is what Before returns for a sync that need not reach a real disk.
var ErrSkip = errors.New("sync skipped")

// At announces a step that the caller takes by itself, such as OpWrite.
func (fs Files) At(op Op, path string) error { return fs.at(Step{Op: op, Path: path}) }

func (fs Files) at(s Step) error {
	if fs.Before == nil {
		return nil
	}
	return fs.Before(s)
}

// Create makes a file that must not be there, for reading and writing.
func (fs Files) Create(path string, perm os.FileMode) (*os.File, error) {
	if err := fs.At(OpCreate, path); err != nil {
		return nil, err
	}
	return fs.Disk().OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, perm)
}

// Chmod changes the mode of a file, where the file system has modes (FAT has none).
func (fs Files) Chmod(path string, mode os.FileMode) error {
	err := fs.At(OpChmod, path)
	if err == nil {
		err = fs.Disk().Chmod(path, mode)
	}
	if unsupported(err) || errors.Is(err, syscall.EPERM) {
		return nil // whoever may write a file of its own and not change its mode is on a file system without
	}
	return err
}

// Sync makes the bytes of an open file durable. The file must be open for writing, which
// Windows (FlushFileBuffers) asks for, though fsync(2) does not: powercut looks. After an
// error they must be written anew: the system may have dropped them, and a second Sync would
// not say so.
func (fs Files) Sync(f *os.File) error {
	return fs.sync(OpSyncFile, f.Name(), f.Sync)
}

// Rename gives from the name to, which is replaced. The bytes of from come
// first: a name that outlives a power cut without them is a lie.
func (fs Files) Rename(from, to string) error {
	if err := fs.at(Step{OpRename, from, to}); err != nil {
		return err
	}
	return fs.Disk().Rename(from, to)
}

// Link gives from another name, or fails with fs.ErrExist: of many at once one wins.
func (fs Files) Link(from, to string) error {
	if err := fs.at(Step{OpLink, from, to}); err != nil {
		return err
	}
	return fs.Disk().Link(from, to)
}

// Remove removes a file.
func (fs Files) Remove(path string) error {
	if err := fs.At(OpRemove, path); err != nil {
		return err
	}
	return fs.Disk().Remove(path)
}

// Mkdir makes a directory and those above it that are not there.
func (fs Files) Mkdir(path string) error {
	if err := fs.At(OpMkdir, path); err != nil {
		return err
	}
	return fs.Disk().MkdirAll(path, 0o777)
}

// SyncDir makes the names in dir survive a power cut, where the system can: some network
// file systems take no fsync of a directory. Nor does Windows: os.Open has a directory for
// reading alone, and FlushFileBuffers refuses such a handle. NTFS keeps names by its journal,
// and may lose the newest ones, whole.
func (fs Files) SyncDir(dir string) error {
	err := fs.sync(OpSyncDir, dir, func() error { return fs.syncDir(dir) })
	if unsupported(err) {
		return nil
	}
	return err
}

func (fs Files) syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := fs.Disk().OpenFile(dir, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// SyncFS makes all bytes and names on the file system of path durable, or fails
// with errors.ErrUnsupported where there is no such call.
func (fs Files) SyncFS(path string) error {
	return fs.sync(OpSyncFS, path, func() error { return syncFS(path) })
}

func (fs Files) sync(op Op, path string, do func() error) error {
	switch err := fs.At(op, path); err {
	case nil:
		return do()
	case ErrSkip:
		return nil
	default:
		return err
	}
}

// unsupported reports whether the file system answered that it has no such operation.
func unsupported(err error) bool {
	return errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL)
}
