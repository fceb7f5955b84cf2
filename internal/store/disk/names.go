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

// What is known of a directory. Only the first says that its name may be lost.
const (
	made    = iota // by this process: its name is not durable yet
	found          // it was there: durable, unless a mark stands
	durable        // or its maker has removed its mark
)

// mkdir makes a directory below the root, and the root itself if its parent is
// there. Their names are made durable with what is named in them: a batch may
// make hundreds. Whoever may make one has a mark.
func (s *Store) mkdir(dir string) error {
	if _, ok := s.dirs.Load(dir); ok {
		return nil
	}
	if err := s.mkroot(); err != nil {
		return err
	}
	var fresh []string
	for d := dir; d != s.root; d = filepath.Dir(d) {
		if _, err := os.Lstat(d); err != nil {
			fresh = append(fresh, d)
		}
	}
	if err := s.files.Mkdir(dir); err != nil {
		return s.mapped(err, "make directory")
	}
	for d := dir; d != s.root; d = filepath.Dir(d) {
		s.dirs.LoadOrStore(d, found)
	}
	for _, d := range fresh {
		s.dirs.Store(d, made) // even when another goroutine has found it since: a sync too many does no harm
	}
	return nil
}

// mkroot makes the root and tmp/ in it, where marks stand. That tmp/ is there says
// that the root's name is durable.
func (s *Store) mkroot() error {
	if _, err := os.Lstat(s.path("tmp")); err == nil {
		return nil
	}
	err := s.files.Disk().Mkdir(s.root, 0o777)
	if errors.Is(err, fs.ErrNotExist) {
		return diag.New(diag.NotFound, "the parent directory of the store does not exist: %w", err).At(s.root).
			Hinted("mount it, correct the remote in pipe.yaml, or create it: mkdir -p %s", s.root)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return s.mapped(err, "make directory")
	}
	err = s.files.SyncDir(filepath.Dir(s.root))
	if err != nil && !errors.Is(err, fs.ErrPermission) { // one that is not ours to read: whoever gave us the root made it
		return s.mapped(err, "sync")
	}
	return s.mapped(s.files.Mkdir(s.path("tmp")), "make directory")
}

// settle makes the names in dirs durable, and those of the directories on the way
// to them: after a power cut a file is found only if all of them are. own is the
// caller's mark, or "".
func (s *Store) settle(dirs map[string]bool, own string) error {
	todo := s.above(dirs, own)
	maps.Copy(todo, dirs)
	if len(dirs) <= few || s.files.SyncFS(s.root) != nil {
		if err := s.syncDirs(todo); err != nil {
			return err
		}
	}
	s.settled(dirs)
	return nil
}

func (s *Store) syncDirs(dirs map[string]bool) error {
	for d := range dirs {
		if err := s.files.SyncDir(d); err != nil {
			return err
		}
	}
	return nil
}

// above returns the directories whose sync makes the names of dirs durable, and of those above them.
func (s *Store) above(dirs map[string]bool, own string) map[string]bool {
	others := s.marked(own)
	todo := map[string]bool{}
	for d := range dirs {
		for ; d != s.root; d = filepath.Dir(d) {
			if state, _ := s.dirs.Load(d); state != durable && (state != found || others) {
				todo[filepath.Dir(d)] = true
			}
		}
	}
	return todo
}

func (s *Store) settled(dirs map[string]bool) {
	for d := range dirs {
		for ; d != s.root; d = filepath.Dir(d) {
			s.dirs.Store(d, durable)
		}
	}
}

// room makes a directory whose name is durable, for what is written without a batch.
func (s *Store) room(dir string) (err error) {
	if state, ok := s.dirs.Load(dir); ok && state == durable {
		return nil
	}
	if err := s.mkdir(s.path("tmp")); err != nil {
		return err
	}
	own := ""
	if _, err := os.Lstat(dir); err != nil {
		if own, err = s.mark(); err != nil {
			return err
		}
	}
	dirs := map[string]bool{dir: true}
	if err := s.mkdir(dir); err != nil {
		return err
	}
	if err := s.syncDirs(s.above(dirs, own)); err != nil {
		return s.mapped(err, "sync")
	}
	s.settled(dirs)
	if own == "" {
		return nil
	}
	return s.files.Remove(own)
}

// naming begins the name of a mark in tmp/, which stands there while somebody gives
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

// marked reports whether there is a mark besides own: names in the store may not be durable.
func (s *Store) marked(own string) bool {
	entries, err := os.ReadDir(s.path("tmp"))
	return err != nil || slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		return strings.HasPrefix(e.Name(), naming) && e.Name() != filepath.Base(own)
	})
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
		err = s.files.SyncDir(filepath.Dir(path))
	}
	if err != nil {
		return nil, s.mapped(err, "record "+id.Short())
	}
	if there {
		return s.Lookup(ctx, id)
	}
	return value, nil
}

// noLinks is what FAT answers: EPERM, and on Windows ERROR_INVALID_FUNCTION.
const noLinks = syscall.Errno(1)

// create gives data the name path, whole, or fails with fs.ErrExist.
func (s *Store) create(ctx context.Context, path string, data []byte) error {
	if err := s.room(filepath.Dir(path)); err != nil {
		return err
	}
	tmp := filepath.Join(s.path("tmp"), "record-"+rand.Text())
	if err := s.files.Make(tmp, data, 0o444); err != nil {
		return err
	}
	// A link to a name that is there fails, even on NFS: the first wins.
	err := s.files.Link(tmp, path)
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, noLinks) {
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
	lock, err := s.files.Acquire(ctx, s.path("runs/lock"), atomicfile.Exclusive, nil)
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
	if err := s.room(filepath.Dir(path)); err != nil {
		return err
	}
	return s.mapped(s.files.Write(path, value, 0o444, s.path("tmp")), "record "+id.Short())
}
