//go:build !windows

package worktree

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/folder"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// LESSONS 8, 9: an out comes whole or not at all, and only verified.
func TestCheckoutIsAllOrNothing(t *testing.T) {
	w, cache := workspace(t)
	fill(t, w, "out")
	saved, err := w.Save(t.Context(), cache, "out")
	must(t, err)
	tree, err := store.ReadTree(t.Context(), cache, saved.Digest)
	must(t, err)
	must(t, os.RemoveAll(w.OS("out")))
	w.write(t, "out/mine", "by hand")
	lost := object.Ref{Digest: digest.Of([]byte("hello\n"))}
	for _, c := range []struct {
		name  string
		spoil func()
		want  error
	}{
		{"missing", func() { must(t, cache.Remove(t.Context(), lost)) }, store.ErrNotFound},
		{"corrupt", func() {
			must(t, os.WriteFile(filepath.Join(w.root, Dir, "cache", store.Path(lost)), []byte("jello\n"), 0o444))
		}, store.ErrCorrupt},
	} {
		c.spoil()
		if err := w.Checkout(t.Context(), cache, saved, tree, nil); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
		if _, got, err := w.Output(t.Context(), "out"); err != nil || !reflect.DeepEqual(names(got), []string{"f mine"}) {
			t.Errorf("%s: the out is %q, %v", c.name, names(got), err)
		}
	}
	must(t, cache.Put(t.Context(), lost, store.Bytes([]byte("hello\n"))))
	must(t, w.Checkout(t.Context(), cache, saved, tree, nil))
	if o, _, err := w.Output(t.Context(), "out"); err != nil || o != saved {
		t.Errorf("%+v, %v", o, err)
	}
	if left, err := os.ReadDir(w.OS(".pipe/tmp")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestCheckoutReplacesAFileByADirectoryAndBack(t *testing.T) {
	w, cache := workspace(t)
	fill(t, w, "out")
	dir, err := w.Save(t.Context(), cache, "out")
	must(t, err)
	must(t, os.RemoveAll(w.OS("out")))
	w.write(t, "out", "file")
	file, err := w.Save(t.Context(), cache, "out")
	must(t, err)
	tree, err := store.ReadTree(t.Context(), cache, dir.Digest)
	must(t, err)
	for range 2 {
		must(t, w.Checkout(t.Context(), cache, dir, tree, nil))
		if o, _, err := w.Output(t.Context(), "out"); err != nil || o != dir {
			t.Errorf("%+v, %v", o, err)
		}
		must(t, w.Checkout(t.Context(), cache, file, nil, nil))
		if o, _, err := w.Output(t.Context(), "out"); err != nil || o != file {
			t.Errorf("%+v, %v", o, err)
		}
	}
}

// LESSONS 9: nothing is written outside the declared out.
func TestCheckoutWritesNothingOutside(t *testing.T) {
	w, cache := workspace(t)
	outside := filepath.Join(t.TempDir(), "outside")
	must(t, os.Mkdir(outside, 0o777))
	ref := object.Ref{Digest: digest.Of([]byte("x"))}
	must(t, cache.Put(t.Context(), ref, store.Bytes([]byte("x"))))
	file := func(p string) object.Entry {
		return object.Entry{Kind: object.File, Path: repopath.Path(p), Digest: ref.Digest, Size: 1}
	}
	link := func(p, target string) object.Entry {
		return object.Entry{Kind: object.Symlink, Path: repopath.Path(p), Target: target, Digest: digest.Of([]byte(target)), Size: int64(len(target))}
	}
	for name, entries := range map[string][]object.Entry{
		"up":           {file("../../x")},
		"absolute":     {file(outside + "/x")},
		"git":          {file(".git/hooks/post-checkout")},
		"through link": {link("a", outside), file("a/x")},
		"link out":     {link("a", "../../outside")},
	} {
		tree := &object.Tree{Entries: entries}
		if err := w.Checkout(t.Context(), cache, tree.Output("out"), tree, nil); !errors.Is(err, object.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Lstat(w.OS("out")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: something is at the out", name)
		}
	}
	w.link(t, "behind", outside)
	err := w.Checkout(t.Context(), cache, artifact.Output{Path: "behind/x", Digest: ref.Digest, Size: 1}, nil, nil)
	if !diag.Is(err, diag.Policy) {
		t.Errorf("behind a symlink: %v", err)
	}
	if left, err := os.ReadDir(outside); err != nil || len(left) != 0 {
		t.Errorf("outside: %v, %v", left, err)
	}
}

// LESSONS 8: whatever fails, the old out is there.
func TestASwapThatFailsPutsTheOldOutBack(t *testing.T) {
	w, _ := workspace(t)
	w.write(t, "out/mine", "by hand")
	tmp, err := w.Temp(Tmp, "checkout-")
	must(t, err)
	defer tmp.Discard()
	must(t, tmp.Mkdir(fresh, 0o777))
	w.opt.Now = func() int64 { must(t, tmp.Remove(fresh)); return 0 } // between the two renames
	if _, err := w.swap(tmp.Dir, "out"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if b, err := os.ReadFile(w.OS("out/mine")); err != nil || string(b) != "by hand" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestATreeWhoseNamesFoldIsNotWrittenToADiskThatFolds(t *testing.T) {
	var notes []string
	asked, answer := "", true
	w, cache := workspace(t, Options{
		Note:  func(text string) { notes = append(notes, text) },
		folds: func(in folder.Dir) (bool, error) { asked = in.Name(); return answer, nil },
	})
	w.write(t, "out/README", "1")
	w.write(t, "out/readme", "2")
	saved, err := w.Save(t.Context(), cache, "out")
	must(t, err)
	if len(notes) != 1 || !strings.HasPrefix(notes[0], "out/README and out/readme have the same name") {
		t.Errorf("noted %q", notes)
	}
	tree, err := store.ReadTree(t.Context(), cache, saved.Digest)
	must(t, err)
	dir := t.TempDir()
	in, err := folder.Open(dir)
	must(t, err)
	defer func() { must(t, in.Close()) }()
	to := filepath.Join(dir, "new")
	if err := w.BuildTree(t.Context(), cache, in, "new", tree); err == nil || !strings.Contains(err.Error(), `"README" and "readme"`) {
		t.Errorf("%v", err)
	}
	if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) || asked != filepath.Dir(to) {
		t.Errorf("%v, asked for %s", err, asked)
	}
	answer = false
	must(t, w.BuildTree(t.Context(), cache, in, "new", tree))
}

func TestWhetherADiskFoldsIsTriedWithoutLeavingAnything(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "probe"), nil, 0o666))
	_, lerr := os.Lstat(filepath.Join(dir, "PROBE"))
	in, err := folder.Open(dir)
	must(t, err)
	if is, err := folds(in); err != nil || is != (lerr == nil) {
		t.Errorf("%v, %v; PROBE: %v", is, err, lerr)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	must(t, in.Close())
	if _, err := folds(in); err == nil {
		t.Error("no error where nothing can be tried")
	}
}

func TestANameWithTheSystemsSeparatorIsRefused(t *testing.T) {
	for _, c := range []struct {
		separator rune
		name      string
		want      bool
	}{{'\\', `a\b`, true}, {'\\', "a/b", false}, {'/', `a\b`, false}, {'/', "a/b", false}} {
		if got := separates(c.separator, c.name); got != c.want {
			t.Errorf("%q on a system with %q: %v", c.name, c.separator, got)
		}
	}
}
