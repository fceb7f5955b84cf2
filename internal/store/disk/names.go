package disk

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
)

// mkdir makes a directory below the root, and the root itself if its parent is
// there. Their names are made durable by settle, with what is named in them: a
// batch may make hundreds.
func (s *Store) mkdir(dir string) error {
	if _, ok := s.dirs.Load(dir); ok {
		return nil
	}
	err := os.Mkdir(s.root, 0o777)
	if errors.Is(err, fs.ErrNotExist) {
		return diag.New(diag.NotFound, "the directory above the store is not there: %w", err).At(s.root).
			Hinted("mount it, correct the remote in pipe.yaml, or make it: mkdir -p %s", s.root)
	}
	if err == nil || errors.Is(err, fs.ErrExist) {
		err = s.files.Mkdir(dir)
	}
	if err != nil {
		return s.mapped(err, "make directory")
	}
	s.dirs.LoadOrStore(dir, false)
	return nil
}

// settle makes the names in dirs durable, and the names of dirs themselves,
// which may be new: after a power cut a file is found only if every directory on
// the way to it is.
func (s *Store) settle(dirs map[string]bool) error {
	todo := maps.Clone(dirs)
	s.unsettled(dirs, func(d string) { todo[filepath.Dir(d)] = true })
	if len(dirs) <= few || s.files.SyncFS(s.root) != nil {
		for d := range todo {
			err := s.files.SyncDir(d)
			if d == filepath.Dir(s.root) && errors.Is(err, fs.ErrPermission) {
				err = nil // not ours to read; whoever gave us the root made it
			}
			if err != nil {
				return err
			}
		}
	}
	s.unsettled(dirs, func(d string) { s.dirs.Store(d, true) })
	return nil
}

// unsettled calls f for dirs and those above them whose names are not known to be durable.
func (s *Store) unsettled(dirs map[string]bool, f func(string)) {
	for d := range dirs {
		for ; len(d) >= len(s.root); d = filepath.Dir(d) {
			if durable, _ := s.dirs.Load(d); durable != true {
				f(d)
			}
		}
	}
}

// settled makes a directory whose own name is durable.
func (s *Store) settled(dir string) error {
	if durable, _ := s.dirs.Load(dir); durable == true {
		return nil
	}
	return first(s.mkdir(dir), func() error { return s.settle(map[string]bool{dir: true}) })
}

// naming begins the name of a mark in tmp/, which stands there while a batch gives
// names that are not durable yet. It needs no sync: a killed process leaves it,
// and after a power cut nothing is left that is not durable.
const naming = "naming-"

// mark makes a mark, and returns its path.
func (s *Store) mark() (string, error) {
	path := filepath.Join(s.path("tmp"), naming+rand.Text())
	f, err := s.files.Create(path, 0o666)
	if err != nil {
		return "", s.mapped(err, "write")
	}
	return path, f.Close()
}

// marked reports whether there is any mark: names in the store may not be durable.
func (s *Store) marked() bool {
	entries, err := os.ReadDir(s.path("tmp"))
	return err != nil || slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return strings.HasPrefix(e.Name(), naming) })
}

// Record implements store.Index.
func (s *Store) Record(ctx context.Context, id object.RunID, value []byte) ([]byte, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	path := s.path(store.RecordPath(id))
	err := s.create(ctx, path, value)
	there := errors.Is(err, fs.ErrExist)
	if err == nil || there {
		// Also for a record that was there: its writer, or our own first try, may
		// have ended before its name was durable.
		err = s.settle(map[string]bool{filepath.Dir(path): true})
	}
	if err != nil {
		return nil, s.mapped(err, "record "+id.Short())
	}
	if there {
		return s.Lookup(ctx, id)
	}
	return value, nil
}

// create gives data the name path, whole, or fails with fs.ErrExist.
func (s *Store) create(ctx context.Context, path string, data []byte) error {
	if err := errors.Join(s.mkdir(filepath.Dir(path)), s.mkdir(s.path("tmp"))); err != nil {
		return err
	}
	tmp := filepath.Join(s.path("tmp"), "record-"+rand.Text())
	if err := s.files.Make(tmp, data, 0o444); err != nil {
		return err
	}
	// A link to a name that is there fails, even on NFS: the first wins.
	err := s.files.Link(tmp, path)
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EPERM) {
		if err = s.renameNew(ctx, tmp, path); err == nil {
			return nil
		}
	}
	return errors.Join(err, s.files.Remove(tmp))
}

// renameNew is a link for file systems without (exFAT, many network shares).
// Rename alone would let the last win, so one process at a time looks and then
// renames. Readers see no record or a whole one, for rename is atomic. The first
// wins among all who meet a store without links and whose locks work there; a
// client that can link on the same share does not ask for the lock, and could
// win between look and rename: its record would then be replaced, once.
func (s *Store) renameNew(ctx context.Context, tmp, path string) (err error) {
	lock, err := atomicfile.Acquire(ctx, s.path("runs/lock"), atomicfile.Exclusive, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, fs.ErrExist)
	}
	return s.files.Rename(tmp, path)
}

// Adopt implements store.Cache.
func (s *Store) Adopt(_ context.Context, id object.RunID, value []byte) error {
	path := s.path(store.RecordPath(id))
	if err := s.settled(filepath.Dir(path)); err != nil {
		return err
	}
	return s.mapped(s.files.Write(path, value, 0o444, ""), "record "+id.Short())
}
