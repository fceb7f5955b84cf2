package disk_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/atomicfile/powercut"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/disk"
	"github.com/pipe-build/pipe/internal/store/storetest"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// room is where the store of a Case lies: its own name must become durable, too.
func room(dir string) string { return filepath.Join(dir, "store") }

// litter lists what is left in the directories for temporary files, except the
// mark of a failed batch, which tells others to sync what they find.
func litter(dir string) []string {
	left, _ := filepath.Glob(filepath.Join(room(dir), "tmp", "[^n]*"))
	more, _ := filepath.Glob(filepath.Join(room(dir), "*", "*", "*", ".tmp-*"))
	return append(left, more...)
}

// spared: when the sync of all fails, each file is synced, and each directory.
func spared(s atomicfile.Step) bool { return s.Op == atomicfile.OpSyncFS }

// directory is a tree and its files.
type directory struct {
	tree  []byte
	files [][]byte
}

// newDirectory returns one of n files that lie in at most so many directories of a store.
func newDirectory(n, spread int) directory {
	var d directory
	t := &object.Tree{}
	for i := 0; len(d.files) < n; i++ {
		b := []byte("content " + strconv.Itoa(i))
		if int(digest.Of(b)[0]) >= spread {
			continue
		}
		d.files = append(d.files, b)
		t.Entries = append(t.Entries, object.Entry{Kind: object.File, Path: repopath.Path(fmt.Sprintf("f%03d", i)), Digest: digest.Of(b), Size: int64(len(b))})
	}
	d.tree = t.Encode()
	return d
}

func (d directory) ref() object.Ref {
	return object.Ref{Shelf: object.Trees, Digest: digest.Of(d.tree)}
}

// put stores the directory in one batch, its tree first: Commit has to order them.
func (d directory) put(ctx context.Context, s *disk.Store) error {
	b, err := s.Begin()
	if err != nil {
		return err
	}
	err = b.Put(ctx, d.ref(), store.Bytes(d.tree))
	for _, f := range d.files {
		if err == nil {
			err = b.Put(ctx, storetest.File(f), store.Bytes(f))
		}
	}
	if err == nil {
		err = b.Commit()
	}
	return errors.Join(err, b.Close())
}

// check says what is wrong: an object that is named and not whole, and a tree without its files.
func (d directory) check(ctx context.Context, s *disk.Store, done bool) error {
	_, err := store.ReadAll(ctx, s, d.ref(), 1<<20)
	tree := err == nil
	if err != nil && (done || !errors.Is(err, store.ErrNotFound)) {
		return fmt.Errorf("tree: %w", err)
	}
	for i, f := range d.files {
		_, err := store.ReadAll(ctx, s, storetest.File(f), 100)
		if err != nil && (tree || done || !errors.Is(err, store.ErrNotFound)) {
			return fmt.Errorf("file %d (its tree is there: %v): %w", i, tree, err)
		}
	}
	return nil
}

func TestEveryStepOfABatchMayFailOrBeTheLast(t *testing.T) {
	for _, n := range []int{2, 9} { // file by file, and with one sync of the file system
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			d := newDirectory(n, 2)
			powercut.Walk(t, powercut.Case{
				Do: func(files atomicfile.Files, dir string) error {
					return d.put(t.Context(), disk.OpenOn(files, room(dir)))
				},
				Check: func(dir string, done bool) error {
					return d.check(t.Context(), disk.Open(room(dir)), done)
				},
				Litter: litter,
				Spared: spared,
			})
		})
	}
}

func TestABatchOverManyDirectoriesIsDurable(t *testing.T) {
	d, dir, after := newDirectory(40, 256), t.TempDir(), t.TempDir()
	power, err := powercut.New(dir, nil)
	if err := errors.Join(err, d.put(t.Context(), disk.OpenOn(power.Files(), room(dir)))); err != nil {
		t.Fatal(err)
	}
	syncs := map[atomicfile.Op]int{}
	for _, step := range power.Steps() {
		syncs[step.Op]++
	}
	// Forty syncs would cost more than one of all; those left are of the one tree's directory and the ones above it.
	if syncs[atomicfile.OpSyncFS] != 2 || syncs[atomicfile.OpSyncFile] != 0 || syncs[atomicfile.OpSyncDir] > 6 {
		t.Errorf("%v", syncs)
	}
	left, err := power.Cut(func(string) bool { return false })
	if err := errors.Join(err, left.Write(after), d.check(t.Context(), disk.Open(room(after)), true)); err != nil {
		t.Error(err)
	}
}

// One store for the first try and the second: the second finds names that the
// first did not make durable.
func TestARetryInTheSameProcessIsDurable(t *testing.T) {
	d := newDirectory(2, 256)
	stores := map[string]*disk.Store{}
	powercut.Walk(t, powercut.Case{
		Do: func(files atomicfile.Files, dir string) error {
			if stores[dir] == nil {
				stores[dir] = disk.OpenOn(files, room(dir))
			}
			return d.put(t.Context(), stores[dir])
		},
		Check:  func(dir string, done bool) error { return d.check(t.Context(), disk.Open(room(dir)), done) },
		Spared: spared,
	})
}

func TestEveryStepOfASaveMayFailOrBeTheLast(t *testing.T) {
	d := newDirectory(1, 256)
	powercut.Walk(t, powercut.Case{
		Setup: func(dir string) error { return os.WriteFile(filepath.Join(dir, "src"), d.files[0], 0o666) },
		Do: func(files atomicfile.Files, dir string) (err error) {
			src, err := os.Open(filepath.Join(dir, "src"))
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, src.Close()) }()
			s := disk.OpenOn(files, room(dir))
			b, err := s.Begin()
			if err != nil {
				return err
			}
			if _, _, err = b.Save(t.Context(), src); err == nil {
				err = b.Commit()
			}
			return errors.Join(err, b.Close())
		},
		Check: func(dir string, done bool) error {
			_, err := store.ReadAll(t.Context(), disk.Open(room(dir)), storetest.File(d.files[0]), 100)
			if errors.Is(err, store.ErrNotFound) && !done {
				return nil
			}
			return err
		},
		Litter: litter,
	})
}

// value tells what is wrong with a small value: done is want, before it may be old, or with "" absent.
func value(got []byte, err error, done bool, old, want string) error {
	if errors.Is(err, store.ErrNotFound) && !done && old == "" {
		return nil
	}
	if err != nil || string(got) != want && (done || string(got) != old) {
		return fmt.Errorf("holds %q, %v", got, err)
	}
	return nil
}

func TestEveryStepOfARecordMayFailOrBeTheLast(t *testing.T) {
	id := object.RunID{Key: digest.Key(digest.Of([]byte("key")))}
	for name, before := range map[string]string{"the first": "", "a second": "first"} {
		t.Run(name, func(t *testing.T) {
			want := "first"
			powercut.Walk(t, powercut.Case{
				Setup: func(dir string) error {
					if before == "" {
						return nil
					}
					_, err := disk.Open(room(dir)).Record(t.Context(), id, []byte(before))
					return err
				},
				Do: func(files atomicfile.Files, dir string) error {
					got, err := disk.OpenOn(files, room(dir)).Record(t.Context(), id, []byte("first"))
					if err == nil && string(got) != want {
						err = fmt.Errorf("told of %q", got)
					}
					return err
				},
				Check: func(dir string, done bool) error {
					got, err := disk.Open(room(dir)).Lookup(t.Context(), id)
					return value(got, err, done, before, want)
				},
				Litter: litter,
				// The loser's temporary file is gone with the next Tidy.
				Spared: func(s atomicfile.Step) bool { return before != "" && s.Op == atomicfile.OpRemove },
			})
		})
	}
}

func TestEveryStepOfAnAdoptionMayFailOrBeTheLast(t *testing.T) {
	id := object.RunID{Key: digest.Key(digest.Of([]byte("key")))}
	for name, before := range map[string]string{"in a new store": "", "over another record": "mine"} {
		t.Run(name, func(t *testing.T) {
			powercut.Walk(t, powercut.Case{
				Setup: func(dir string) error {
					if before == "" {
						return nil
					}
					_, err := disk.Open(room(dir)).Record(t.Context(), id, []byte(before))
					return err
				},
				Do: func(files atomicfile.Files, dir string) error {
					return disk.OpenOn(files, room(dir)).Adopt(t.Context(), id, []byte("everybody's"))
				},
				Check: func(dir string, done bool) error {
					got, err := disk.Open(room(dir)).Lookup(t.Context(), id)
					return value(got, err, done, before, "everybody's")
				},
				Litter: litter,
			})
		})
	}
}

func TestEveryStepOfASwapMayFailOrBeTheLast(t *testing.T) {
	const cell = "env/default/state"
	powercut.Walk(t, powercut.Case{
		Do: func(files atomicfile.Files, dir string) error {
			s := disk.OpenOn(files, room(dir))
			got, version, err := s.Load(t.Context(), cell)
			if string(got) == "live" { // the retry finds what its first try wrote
				version = digest.Of(got).Hex()
			} else if err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
			_, err = s.Swap(t.Context(), cell, version, []byte("live"))
			return err
		},
		Check: func(dir string, done bool) error {
			got, _, err := disk.Open(room(dir)).Load(t.Context(), cell)
			return value(got, err, done, "", "live")
		},
		Litter: litter,
	})
}

// poor is the file layer of exFAT, which has no hard links and no modes, or of CIFS, which
// syncs no directory. They answer with different errors.
func poor(errno error) atomicfile.Files {
	return atomicfile.Files{Before: func(s atomicfile.Step) error {
		lacks := s.Op == atomicfile.OpLink || s.Op == atomicfile.OpChmod ||
			(s.Op == atomicfile.OpSyncDir || s.Op == atomicfile.OpSyncFS) && !errors.Is(errno, syscall.EPERM)
		if !lacks {
			return nil
		}
		return &os.LinkError{Op: string(s.Op), Old: s.Path, New: s.To, Err: errno}
	}}
}

func TestConformanceOnAPoorFileSystem(t *testing.T) {
	dir := room(t.TempDir())
	storetest.Run(t, func(*testing.T) store.Remote { return disk.OpenOn(poor(syscall.ENOTSUP), dir) })
}

func TestAStoreOnAPoorFileSystemGoesOn(t *testing.T) {
	for _, errno := range []error{syscall.EPERM, syscall.ENOTSUP, syscall.ENOSYS} {
		root, ctx := room(t.TempDir()), t.Context()
		s := disk.OpenOn(poor(errno), root)
		d, id := newDirectory(10, 256), object.RunID{Key: digest.Key(digest.Of([]byte("key")))}
		if err := errors.Join(d.put(ctx, s), d.check(ctx, s, true), s.Probe(ctx)); err != nil {
			t.Errorf("%v: %v", errno, err)
		}
		for _, v := range []string{"first", "second"} {
			if got, err := s.Record(ctx, id, []byte(v)); err != nil || string(got) != "first" {
				t.Errorf("%v: record %s: %q, %v", errno, v, got, err)
			}
		}
		if left := litter(filepath.Dir(root)); len(left) != 0 {
			t.Errorf("%v: left behind: %q", errno, left)
		}
	}
}

// exFAT by FUSE removes a file before another one takes its name.
func TestACellThatIsBeingReplacedIsThere(t *testing.T) {
	root, ctx := room(t.TempDir()), t.Context()
	if _, err := disk.Open(root).Swap(ctx, "env/state", "", []byte("live")); err != nil {
		t.Fatal(err)
	}
	tried := 0
	slow := disk.OpenOn(atomicfile.Files{Before: func(s atomicfile.Step) error {
		if s.Op != atomicfile.OpRename {
			return nil
		}
		tried++
		// A reader that waits for the writer waits until its context ends: the writer is us.
		brief, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		err := os.Remove(s.To)
		if _, _, err := disk.Open(root).Load(brief, "env/state"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a reader meanwhile: %v", err)
		}
		return err
	}}, root)
	if _, err := slow.Swap(ctx, "env/state", digest.Of([]byte("live")).Hex(), []byte("new")); err != nil || tried != 1 {
		t.Error(err, tried)
	}
	// One that is not there when nobody writes is just not there.
	if err := os.Remove(filepath.Join(root, "env/state")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := disk.Open(root).Load(ctx, "env/state"); !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
}

// Without links a writer looks whether there is a record and then renames: nobody else
// may do so in between.
func TestWithoutLinksOneWriterAtATimeRecords(t *testing.T) {
	root, ctx := room(t.TempDir()), t.Context()
	id := object.RunID{Key: digest.Key(digest.Of([]byte("key")))}
	files, tried := poor(syscall.EPERM), 0
	lacks := files.Before
	files.Before = func(s atomicfile.Step) error {
		if s.Op == atomicfile.OpRename {
			tried++
			brief, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
			defer cancel()
			if got, err := disk.OpenOn(poor(syscall.EPERM), root).Record(brief, id, []byte("second")); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a second record meanwhile: %q, %v", got, err)
			}
		}
		return lacks(s)
	}
	if got, err := disk.OpenOn(files, root).Record(ctx, id, []byte("first")); string(got) != "first" || err != nil || tried != 1 {
		t.Errorf("%q, %v, %d", got, err, tried)
	}
}
