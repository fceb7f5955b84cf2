//go:build !windows

package worktree

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/statindex"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// outside makes a directory with a file out/x and a file x, which pipe must neither read for
// an output nor touch.
func outside(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "out"), 0o777))
	for _, name := range []string{"x", "out/x"} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte("theirs"), 0o666))
	}
	return dir
}

// swapFor renames p away and puts a symlink in its place.
func (w *Work) swapFor(t *testing.T, p, target string) {
	t.Helper()
	at := filepath.Join(w.root, p)
	must(t, os.Rename(at, at+".moved"))
	must(t, os.Symlink(target, at))
}

func TestAnOutBehindASymlinkIsNotRead(t *testing.T) {
	opt, _ := counted(time.Hour)
	w, cache := workspace(t, opt)
	w.link(t, "behind", outside(t))
	w.link(t, "git", ".git")
	w.write(t, ".git/x", "a credential")
	for range 2 { // the second time the index knows the files, as inputs
		if _, err := w.Save(t.Context(), cache, "behind/x"); !diag.Is(err, diag.Policy) {
			t.Errorf("saved: %v", err)
		}
		if _, err := w.Save(t.Context(), cache, "behind/out"); !diag.Is(err, diag.Policy) {
			t.Errorf("a directory was saved: %v", err)
		}
		if f, err := w.ReadOut("git/x"); !diag.Is(err, diag.Policy) {
			t.Errorf("read %v: %v", f, err)
		}
		_, err := w.File(t.Context(), "behind/x")
		must(t, err)
	}
	w.link(t, "last", ".git/x")
	if f, err := w.ReadOut("last"); err == nil || !strings.Contains(err.Error(), "changed while pipe read it") {
		t.Errorf("read %v: %v", f, err)
	}
	v, _ := workspace(t)
	v.link(t, "behind", outside(t))
	for _, p := range []repopath.Path{"behind/x", "behind/out"} {
		if o, _, err := v.Output(t.Context(), p); !diag.Is(err, diag.Policy) {
			t.Errorf("%s is %+v, %v", p, o, err)
		}
	}
}

// Between the listing and the reading of a directory, at every level.
func TestADirectoryThatIsSwappedDuringAScanIsNotFollowed(t *testing.T) {
	for _, swapped := range []string{"out", "out/a", "out/a/b"} {
		var w *Work
		var once sync.Once
		lstat := func(d *statindex.Directory, name string) (statindex.Stat, statindex.Kind, error) {
			st, k, err := d.Lstat(name)
			if name == "x" {
				once.Do(func() { w.swapFor(t, swapped, outside(t)) })
			}
			return st, k, err
		}
		w, cache := workspace(t, Options{lstat: lstat})
		w.write(t, "out/a/b/x", "mine")
		if o, err := w.Save(t.Context(), cache, "out"); err != nil && !strings.Contains(err.Error(), "changed while pipe read it") {
			t.Errorf("%s: %+v, %v", swapped, o, err)
		}
		err := cache.List(t.Context(), func(e store.Entry) error {
			b, err := store.ReadAll(t.Context(), cache, e.Ref, 1000)
			if string(b) == "theirs" {
				t.Errorf("%s: bytes from outside are in the cache", swapped)
			}
			return err
		})
		must(t, err)
	}
}

// Between the two renames of a checkout.
func TestAParentThatIsSwappedDuringACheckoutIsNotFollowed(t *testing.T) {
	for _, swapped := range []string{"o", "o/sub", ".pipe/tmp", ".pipe"} {
		w, cache := workspace(t)
		dir := outside(t)
		w.write(t, "o/sub/out/x", "new")
		o, err := w.Save(t.Context(), cache, "o/sub/out")
		must(t, err)
		tree, err := store.ReadTree(t.Context(), cache, o.Digest)
		must(t, err)
		w.write(t, "o/sub/out/x", "old")
		now := w.opt.Now
		var once sync.Once
		w.opt.Now = func() int64 { once.Do(func() { w.swapFor(t, swapped, dir) }); return now() }
		must(t, w.Checkout(t.Context(), cache, o, tree, nil))
		for _, name := range []string{"x", "out/x"} {
			if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(b) != "theirs" {
				t.Errorf("%s: outside there is %q, %v", swapped, b, err)
			}
		}
		must(t, os.Remove(filepath.Join(w.root, swapped)))
		must(t, os.Rename(filepath.Join(w.root, swapped+".moved"), filepath.Join(w.root, swapped)))
		if b, err := os.ReadFile(w.OS("o/sub/out/x")); err != nil || string(b) != "new" {
			t.Errorf("%s: inside there is %q, %v", swapped, b, err)
		}
		if left, err := os.ReadDir(w.OS(".pipe/tmp")); err != nil || len(left) > 0 {
			t.Errorf("%s: left behind: %v, %v", swapped, left, err)
		}
	}
}

func TestAnIndexIsNotWrittenThroughASymlink(t *testing.T) {
	w, _ := workspace(t)
	w.write(t, "a", "1")
	_, err := w.File(t.Context(), "a")
	must(t, err)
	w.swapFor(t, Dir, t.TempDir())
	if err := w.saveIndex(); !diag.Is(err, diag.Policy) {
		t.Errorf("%v", err)
	}
	if err := w.Prepare(); !diag.Is(err, diag.Policy) {
		t.Errorf("%v", err)
	}
	if left, err := os.ReadDir(w.OS(Dir)); err != nil || len(left) > 0 {
		t.Errorf("outside: %v, %v", left, err)
	}
	if _, err := w.EmptyTrash(); !errors.As(err, new(*diag.Error)) {
		t.Errorf("%v", err)
	}
}
