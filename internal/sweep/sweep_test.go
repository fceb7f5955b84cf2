package sweep_test

import (
	"context"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/disk"
	"github.com/pipe-build/pipe/internal/sweep"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/lockfile"
)

var _ sweep.Cache = (*disk.Store)(nil)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, c *disk.Store, tree bool, content string) object.Ref {
	t.Helper()
	ref := object.Ref{Digest: digest.Of([]byte(content))}
	if tree {
		ref.Shelf = object.Trees
	}
	must(t, c.Put(t.Context(), ref, store.Bytes([]byte(content))))
	return ref
}

// directory stores a tree of one file and returns both.
func directory(t *testing.T, c *disk.Store, content string) (tree, file object.Ref) {
	t.Helper()
	file = put(t, c, false, content)
	tr := &object.Tree{Entries: []object.Entry{{Kind: object.File, Path: "f", Digest: file.Digest, Size: int64(len(content))}}}
	return put(t, c, true, string(tr.Encode())), file
}

func record(t *testing.T, c *disk.Store, name string, ref object.Ref) object.RunID {
	t.Helper()
	id := object.RunID{Key: digest.Key(digest.Of([]byte(name)))}
	r := &object.Record{ID: id, Stage: name, At: time.Unix(0, 0).UTC(), Outs: []artifact.Output{{Path: "o", Dir: ref.Shelf == object.Trees, Digest: ref.Digest}}}
	b, err := r.Encode()
	must(t, err)
	_, err = c.Record(t.Context(), id, b)
	must(t, err)
	return id
}

func has(t *testing.T, c *disk.Store, ref object.Ref) bool {
	t.Helper()
	_, err := c.Stat(t.Context(), ref)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	return err == nil
}

func TestOnlyWhatNoRootNamesGoes(t *testing.T) {
	c := disk.Open(t.TempDir())
	kept, gone := put(t, c, false, "kept"), put(t, c, false, "gone")
	keptTree, keptFile := directory(t, c, "in a kept tree")
	goneTree, goneFile := directory(t, c, "in a tree that goes")
	keptKey, goneKey, goneTreeKey := record(t, c, "kept", kept), record(t, c, "gone", gone), record(t, c, "gone-tree", goneTree)
	var roots sweep.Roots
	must(t, roots.Add(t.Context(), c, kept))
	must(t, roots.Add(t.Context(), c, keptTree))
	must(t, roots.Add(t.Context(), c, keptTree))
	must(t, roots.Add(t.Context(), c, object.Ref{Shelf: object.Trees, Digest: digest.Of([]byte("not here"))}))
	doomed, err := sweep.Plan(t.Context(), c, &roots, math.MaxInt64)
	must(t, err)
	if len(doomed) != 3 {
		t.Errorf("doomed: %+v", doomed)
	}
	for _, ref := range []object.Ref{kept, gone, keptTree, goneFile} {
		if !has(t, c, ref) {
			t.Errorf("%s went with the plan alone", ref) // LESSONS 19
		}
	}
	must(t, sweep.Sweep(t.Context(), c, doomed))
	for ref, want := range map[object.Ref]bool{kept: true, keptTree: true, keptFile: true, gone: false, goneTree: false, goneFile: false} {
		if got := has(t, c, ref); got != want {
			t.Errorf("%s is there: %v, want %v", ref, got, want)
		}
	}
	for key, want := range map[object.RunID]bool{keptKey: true, goneKey: false, goneTreeKey: false} {
		if _, err := c.Lookup(t.Context(), key); (err == nil) != want {
			t.Errorf("record %s: %v, want it there: %v", key.Short(), err, want)
		}
	}
	must(t, sweep.Sweep(t.Context(), c, doomed)) // a second one finds all gone
}

func TestALockKeepsItsOutsItsListsAndTheLogsOfItsRuns(t *testing.T) {
	c := disk.Open(t.TempDir())
	tree, inTree := directory(t, c, "out")
	list := object.Ref{Shelf: object.Inputs, Digest: digest.Of([]byte("list"))}
	log, other := object.Ref{Shelf: object.Logs, Digest: digest.Of([]byte("log"))}, object.Ref{Shelf: object.Logs, Digest: digest.Of([]byte("other log"))}
	id := object.RunID{Key: digest.Key(digest.Of([]byte("app"))), Generation: 2}
	for _, r := range []*object.Record{
		{ID: id, Stage: "app", At: time.Unix(0, 0).UTC(), Outs: []artifact.Output{{Path: "o", Dir: true, Digest: tree.Digest}}, Log: log.Digest},
		{ID: object.RunID{Key: id.Key}, Stage: "app", At: time.Unix(0, 0).UTC(), Outs: []artifact.Output{{Path: "o", Dir: true, Digest: tree.Digest}}, Log: other.Digest},
	} {
		b, err := r.Encode()
		must(t, err)
		_, err = c.Record(t.Context(), r.ID, b)
		must(t, err)
	}
	damaged := object.RunID{Key: digest.Key{2}}
	_, err := c.Record(t.Context(), damaged, []byte("no record at all"))
	must(t, err)
	l := &lockfile.File{Stages: []lockfile.Stage{
		{Name: "a damaged record", Key: damaged.Key},
		{
			Name: "app", Key: id.Key, Generation: id.Generation, Outs: []artifact.Output{{Path: "o", Dir: true, Digest: tree.Digest}},
			Deps: []artifact.Input{{Path: "src", Kind: artifact.Dir, Digest: list.Digest}},
		},
		{Name: "never recorded", Key: digest.Key{1}, Outs: []artifact.Output{{Path: "p", Digest: digest.Of([]byte("p"))}}},
	}}
	var roots sweep.Roots
	must(t, roots.AddLock(t.Context(), c, l))
	for _, ref := range []object.Ref{tree, inTree, list, log, {Digest: digest.Of([]byte("p"))}} {
		if !roots.Keeps(ref) {
			t.Errorf("%s would go", ref)
		}
	}
	if roots.Keeps(other) || roots.Keeps(object.Ref{Shelf: object.Logs}) {
		t.Error("the log of an earlier run stays, or one that is none")
	}
}

func TestALockWhoseRecordsOrTreesCannotBeReadStopsTheSweep(t *testing.T) {
	down := errors.New("down")
	l := &lockfile.File{Stages: []lockfile.Stage{{Name: "app", Key: digest.Key{1}, Outs: []artifact.Output{{Path: "o", Dir: true, Digest: digest.Of([]byte("tree"))}}}}}
	var roots sweep.Roots
	if err := roots.AddLock(t.Context(), &silent{disk.Open(t.TempDir()), down, nil}, l); !errors.Is(err, down) {
		t.Errorf("records: %v", err)
	}
	if err := roots.AddLock(t.Context(), &silent{disk.Open(t.TempDir()), nil, down}, l); !errors.Is(err, down) {
		t.Errorf("trees: %v", err)
	}
}

// silent answers no question for records, or for objects.
type silent struct {
	*disk.Store
	records, objects error
}

func (s *silent) Lookup(ctx context.Context, id object.RunID) ([]byte, error) {
	if s.records != nil {
		return nil, s.records
	}
	return s.Store.Lookup(ctx, id)
}

func (s *silent) Open(ctx context.Context, ref object.Ref) (io.ReadCloser, error) {
	if s.objects != nil {
		return nil, s.objects
	}
	return s.Store.Open(ctx, ref)
}

// LESSONS 17: what is young stays, whoever names it.
func TestYoungObjectsStay(t *testing.T) {
	root := t.TempDir()
	c := disk.Open(root)
	young, old := put(t, c, false, "young"), put(t, c, false, "old")
	long := time.Unix(1_000_000, 0)
	must(t, os.Chtimes(filepath.Join(root, store.Path(old)), long, long))
	doomed, err := sweep.Plan(t.Context(), c, &sweep.Roots{}, 1_000_001)
	must(t, err)
	if len(doomed) != 1 || doomed[0].Ref != old {
		t.Errorf("doomed: %+v, young is %s", doomed, young)
	}
	if doomed, err := sweep.Plan(t.Context(), c, &sweep.Roots{}, 1_000_000); err != nil || len(doomed) != 0 {
		t.Errorf("at the very border: %+v, %v", doomed, err)
	}
}

func TestADamagedRootTreeStopsTheSweep(t *testing.T) {
	root := t.TempDir()
	c := disk.Open(root)
	tree, _ := directory(t, c, "x")
	path := filepath.Join(root, store.Path(tree))
	must(t, os.Remove(path))
	must(t, os.WriteFile(path, []byte("pipe-tree 1\n"), 0o444))
	var roots sweep.Roots
	if err := roots.Add(t.Context(), c, tree); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("its files would go: %v", err)
	}
}

// removing notes what is removed, in order, and may fail it.
type removing struct {
	*disk.Store
	shelves []object.Shelf
	fail    error
}

func (r *removing) Remove(ctx context.Context, ref object.Ref) error {
	r.shelves = append(r.shelves, ref.Shelf)
	if r.fail != nil {
		return r.fail
	}
	return r.Store.Remove(ctx, ref)
}

func TestASweepThatIsBrokenOffRemovesNoMore(t *testing.T) {
	c, gone := disk.Open(t.TempDir()), errors.New("gone")
	ref := put(t, c, false, "x")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	if err := sweep.Sweep(ctx, c, []store.Entry{{Ref: ref}}); !errors.Is(err, gone) || !has(t, c, ref) {
		t.Errorf("%v", err)
	}
}

func TestTreesGoBeforeTheirFiles(t *testing.T) {
	c := &removing{Store: disk.Open(t.TempDir())}
	for _, content := range []string{"a", "b", "c"} {
		directory(t, c.Store, content)
	}
	doomed, err := sweep.Plan(t.Context(), c, &sweep.Roots{}, math.MaxInt64)
	must(t, err)
	must(t, sweep.Sweep(t.Context(), c, doomed))
	want := []object.Shelf{object.Trees, object.Trees, object.Trees, object.Files, object.Files, object.Files}
	if !slices.Equal(c.shelves, want) {
		t.Errorf("%v", c.shelves)
	}
}

// TestARecordGoesBeforeWhatItNames: a sweep that ends in its middle must not leave a
// record whose bytes are gone, and the next one would not see it.
func TestARecordGoesBeforeWhatItNames(t *testing.T) {
	stuck := errors.New("stuck")
	c := &removing{Store: disk.Open(t.TempDir()), fail: stuck}
	tree, _ := directory(t, c.Store, "x")
	id := record(t, c.Store, "first", tree)
	doomed, err := sweep.Plan(t.Context(), c, &sweep.Roots{}, math.MaxInt64)
	must(t, err)
	if err := sweep.Sweep(t.Context(), c, doomed); !errors.Is(err, stuck) || len(c.shelves) != 1 {
		t.Errorf("%v after %d objects", err, len(c.shelves))
	}
	if _, err := c.Lookup(t.Context(), id); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the record stays: %v", err)
	}
}

func TestARecordThatCannotBeReadIsLeftToVerify(t *testing.T) {
	c := disk.Open(t.TempDir())
	gone := put(t, c, false, "gone")
	good, bad := record(t, c, "good", gone), object.RunID{Key: digest.Key(digest.Of([]byte("bad")))}
	_, err := c.Record(t.Context(), bad, []byte("no record at all"))
	must(t, err)
	must(t, sweep.Sweep(t.Context(), c, []store.Entry{{Ref: gone}}))
	_, err = c.Lookup(t.Context(), bad)
	must(t, err)
	if _, err := c.Lookup(t.Context(), good); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a record of what is gone: %v", err)
	}
}
