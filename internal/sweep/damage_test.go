package sweep_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/disk"
	"github.com/pipe-build/pipe/internal/sweep"
	"github.com/pipe-build/pipe/pkg/digest"
)

// replace gives a file of a store other bytes, and size bytes when that is more.
func replace(t *testing.T, root, path, content string, size int64) {
	t.Helper()
	path = filepath.Join(root, filepath.FromSlash(path))
	must(t, os.Remove(path))
	must(t, os.WriteFile(path, []byte(content), 0o666))
	if size > 0 {
		must(t, os.Truncate(path, size))
	}
}

func verify(t *testing.T, c *disk.Store) *sweep.Report {
	t.Helper()
	r, err := readAll(t, c, c, 4)
	must(t, err)
	return r
}

func TestVerifyFindsEachSortOfDamage(t *testing.T) {
	root := t.TempDir()
	c := disk.Open(root)
	good, bad := put(t, c, false, "good"), put(t, c, false, "bad")
	directory(t, c, "in a good tree")
	_, badFile := directory(t, c, "in a tree whose file is damaged")
	lostFileTree, lostFile := directory(t, c, "in a tree whose file is lost")
	badTree, _ := directory(t, c, "in a damaged tree")
	hugeTree, _ := directory(t, c, "in a huge tree")
	put(t, c, true, "pipe-tree 2\n") // of a newer pipe
	foreign := put(t, c, true, "not of any pipe\n")
	goodRun, badRun, newRun := record(t, c, "goodrun", good), record(t, c, "badrun", good), record(t, c, "newrun", good)
	otherRun, hugeRun := record(t, c, "otherrun", good), record(t, c, "hugerun", good)
	if r := verify(t, c); r.Objects != 14 || r.Records != 5 || r.Bytes == 0 || len(r.Faults) != 1 {
		t.Errorf("before: %+v", r)
	}
	value, err := c.Lookup(t.Context(), goodRun)
	must(t, err)
	replace(t, root, store.Path(bad), "bae", 0)
	replace(t, root, store.Path(badFile), "", 0)
	must(t, c.Remove(t.Context(), lostFile))
	replace(t, root, store.Path(badTree), "pipe-tree 1\n", 0)
	replace(t, root, store.Path(hugeTree), "", 1<<40)
	replace(t, root, store.RecordPath(badRun), "{}\n", 0)
	replace(t, root, store.RecordPath(newRun), `{"schema":2}`+"\n", 0)
	replace(t, root, store.RecordPath(otherRun), string(value), 0)
	replace(t, root, store.RecordPath(hugeRun), "", 1<<40)
	r := verify(t, c)
	sameFaults(t, "damaged", r.Faults, false, bad, badFile, badTree, hugeTree, foreign)
	sameFaults(t, "missing", r.Faults, true, lostFile)
	var broken []object.RunID
	for _, f := range r.Faults {
		if f.Run != nil {
			broken = append(broken, *f.Run)
		}
		if f.Ref == lostFile && (f.Stage != "" || f.Path != store.Path(lostFileTree)+"/f") {
			t.Errorf("who names the lost file: %+v", f)
		}
	}
	if len(broken) != 3 || slices.Contains(broken, goodRun) || slices.Contains(broken, newRun) {
		t.Errorf("broken: %v", broken)
	}
}

// sameFaults compares the objects that are missing, or damaged.
func sameFaults(t *testing.T, what string, got []sweep.Fault, missing bool, want ...object.Ref) {
	t.Helper()
	n := 0
	for _, f := range got {
		if f.Run == nil && f.Missing == missing {
			n++
			if !slices.Contains(want, f.Ref) {
				t.Errorf("%s: %v", what, f)
			}
		}
	}
	if n != len(want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// late lists no files, as if they had been put since.
type late struct{ *disk.Store }

// List implements store.Lister.
func (l late) List(ctx context.Context, f func(store.Entry) error) error {
	return l.Store.List(ctx, func(e store.Entry) error {
		if e.Ref.Shelf == object.Files {
			return nil
		}
		return f(e)
	})
}

func TestATreeThatIsPushedMeanwhileIsNotIncomplete(t *testing.T) {
	c := disk.Open(t.TempDir())
	directory(t, c, "x")
	r, err := readAll(t, c, late{c}, 1)
	if err != nil || r.Objects != 2 || len(r.Faults) != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

// failing breaks with an error that is no damage.
type failing struct {
	*disk.Store
	err error
}

// Lookup implements store.Index.
func (f failing) Lookup(context.Context, object.RunID) ([]byte, error) { return nil, f.err }

func TestWhatGoesMeanwhileIsNoDamageAndAnUnreadableStoreIsAnError(t *testing.T) {
	c, down := disk.Open(t.TempDir()), errors.New("down")
	record(t, c, "r", object.Ref{Digest: digest.Of(nil)})
	if r, err := readAll(t, failing{c, store.ErrNotFound}, c, 1); err != nil || r.Records != 1 || r.Faults != nil {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := readAll(t, failing{c, down}, c, 1); !errors.Is(err, down) {
		t.Errorf("%+v, %v", r, err)
	}
}
