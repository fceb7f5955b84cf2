//go:build !windows

package worktree

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/statindex"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// saved fills out, saves it, and returns what was saved.
func saved(t *testing.T, w *Work, cache store.Cache) (artifact.Output, *object.Tree) {
	t.Helper()
	for _, f := range []string{"1", "2", "sub/3", "sub/4", "sub/deep/5"} {
		w.write(t, repopath.Path("out/"+f), f)
	}
	must(t, os.Chmod(w.OS("out/2"), 0o755))
	w.link(t, "out/sub/up", "../1")
	must(t, os.Mkdir(w.OS("out/empty"), 0o777))
	o, err := w.Save(t.Context(), cache, "out")
	must(t, err)
	tree, err := store.ReadTree(t.Context(), cache, o.Digest)
	must(t, err)
	return o, tree
}

// inodes returns what lies below a directory, by path.
func inodes(t *testing.T, w *Work, at string) map[string]fs.FileInfo {
	t.Helper()
	all := map[string]fs.FileInfo{}
	must(t, fs.WalkDir(os.DirFS(w.OS(repopath.Path(at))), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			all[path], err = d.Info()
		}
		return err
	}))
	return all
}

func TestCheckoutTouchesOnlyWhatDiffers(t *testing.T) {
	for name, c := range map[string]struct {
		change func(w *Work)
		anew   []string // files that are written
	}{
		"a file is gone":         {func(w *Work) { must(t, os.Remove(w.OS("out/sub/3"))) }, []string{"sub/3"}},
		"a file was edited":      {func(w *Work) { w.write(t, "out/1", "edit") }, []string{"1"}},
		"a mode was changed":     {func(w *Work) { must(t, os.Chmod(w.OS("out/2"), 0o644)) }, []string{"2"}},
		"a directory is gone":    {func(w *Work) { must(t, os.RemoveAll(w.OS("out/sub/deep"))) }, []string{"sub/deep/5"}},
		"all of one directory":   {func(w *Work) { must(t, os.RemoveAll(w.OS("out/sub"))) }, []string{"sub/3", "sub/4", "sub/deep/5"}},
		"two files":              {func(w *Work) { must(t, os.Remove(w.OS("out/1"))); w.write(t, "out/sub/4", "edit") }, []string{"1", "sub/4"}},
		"a file too many":        {func(w *Work) { w.write(t, "out/sub/more", "x") }, nil},
		"a directory too many":   {func(w *Work) { w.write(t, "out/more/and/more", "x") }, nil},
		"a link leads elsewhere": {func(w *Work) { must(t, os.Remove(w.OS("out/sub/up"))); w.link(t, "out/sub/up", "4") }, nil},
		"a link is gone":         {func(w *Work) { must(t, os.Remove(w.OS("out/sub/up"))) }, nil},
		"no empty directory":     {func(w *Work) { must(t, os.Remove(w.OS("out/empty"))) }, nil},
		"it is not empty":        {func(w *Work) { w.write(t, "out/empty/x", "x") }, nil},
		"a file for a directory": {func(w *Work) { must(t, os.RemoveAll(w.OS("out/sub/deep"))); w.write(t, "out/sub/deep", "5") }, []string{"sub/deep/5"}},
		"a directory for a file": {func(w *Work) { must(t, os.Remove(w.OS("out/1"))); w.write(t, "out/1/x", "x") }, []string{"1"}},
		"a link for a directory": {func(w *Work) { must(t, os.RemoveAll(w.OS("out/sub/deep"))); w.link(t, "out/sub/deep", "..") }, []string{"sub/deep/5"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, after := range []time.Duration{0, time.Hour} { // the index vouches for files that are old enough
				opt, reads := counted(after)
				w, cache := workspace(t, opt)
				want, tree := saved(t, w, cache)
				c.change(w)
				_, here, err := w.Output(t.Context(), "out")
				must(t, err)
				before := inodes(t, w, "out")
				must(t, w.Checkout(t.Context(), cache, want, tree, here))
				var anew []string
				for p, is := range inodes(t, w, "out") {
					if was, ok := before[p]; !ok || !os.SameFile(was, is) || !was.ModTime().Equal(is.ModTime()) {
						anew = append(anew, p)
					}
				}
				slices.Sort(anew)
				if !slices.Equal(anew, c.anew) {
					t.Errorf("written: %q, want %q", anew, c.anew)
				}
				reads.Store(0)
				if o, _, err := w.Output(t.Context(), "out"); err != nil || o != want {
					t.Errorf("%+v, %v", o, err)
				}
				if n := reads.Load(); after > 0 && n != 0 {
					t.Errorf("%d files were read again", n)
				}
				if left, err := os.ReadDir(w.OS(".pipe/tmp")); err != nil || len(left) != 0 {
					t.Errorf("left behind: %v, %v", left, err)
				}
			}
		})
	}
}

// What is shared was looked at; who edits it meanwhile is not overwritten by a lie.
func TestAnEditBesideACheckoutIsNotTakenForTheOutput(t *testing.T) {
	for name, before := range map[string]bool{"before it is shared": true, "after": false} {
		opt, _ := counted(time.Hour)
		w, cache := workspace(t, opt)
		want, tree := saved(t, w, cache)
		must(t, errors.Join(os.Remove(w.OS("out/1")), os.Remove(w.OS("out/sub/3"))))
		_, here, err := w.Output(t.Context(), "out")
		must(t, err)
		edit := func() { must(t, os.WriteFile(w.OS("out/2"), []byte("!"), 0o666)) } // the same size
		if before {
			edit()
		} else {
			now := w.opt.Now
			w.opt.Now = sync.OnceValue(func() int64 { edit(); return now() })
		}
		must(t, w.Checkout(t.Context(), cache, want, tree, here))
		w.opt.Now = opt.Now
		o, got, err := w.Output(t.Context(), "out")
		must(t, err)
		e, _ := got.Find("2")
		if edited := e.Digest == digest.Of([]byte("!")); edited == before || (o == want) != before {
			t.Errorf("%s: the edit is there: %v; as wanted: %v", name, edited, o == want)
		}
	}
}

func TestAFileThatCannotBeSharedIsCopiedWithItsTime(t *testing.T) {
	w, cache := workspace(t)
	_, tree := saved(t, w, cache)
	when := time.Unix(1e9, 5e8)
	must(t, os.Chtimes(w.OS("out/sub/3"), when, when))
	out, err := w.enter("out")
	must(t, err)
	defer func() { must(t, out.Close()) }()
	st, err := stats(out, []object.Entry{{Path: "1"}})
	must(t, err)
	old := &reuse{w: w, at: "out", dir: out, tree: tree, shared: map[repopath.Path]statindex.Stat{}, times: map[repopath.Path]time.Time{"sub/3": when}}
	tmp, err := w.Temp(Tmp, "test-")
	must(t, err)
	defer tmp.Discard()
	// A name that is taken cannot be given: it is what a file system without links answers, too.
	must(t, errors.Join(tmp.MkdirAll("to/sub/deep", 0o777), tmp.WriteFile("to/sub/3", nil, 0o666)))
	to, err := tmp.Enter("to")
	must(t, err)
	must(t, old.fill(context.Background(), to, tree))
	must(t, to.Close())
	if old.has("sub/3") || !old.has("1") || old.shared["1"].Ino != st[0].Ino || !old.time("sub/3").Equal(when) {
		t.Errorf("shared %v, times %v", old.shared, old.times)
	}
	old.tree = &object.Tree{}
	must(t, w.buildTree(t.Context(), cache, tmp.Dir, "new", &object.Tree{Entries: []object.Entry{{Kind: object.File, Path: "sub/3", Digest: digest.Of([]byte("sub/3")), Size: 5}}}, old))
	if info, err := tmp.Lstat("new/sub/3"); err != nil || !info.ModTime().Equal(when) {
		t.Errorf("%v, %v", info, err)
	}
}

func TestNoSharedNameIsGivenThroughASymlink(t *testing.T) {
	w, cache := workspace(t)
	want, tree := saved(t, w, cache)
	must(t, errors.Join(os.Remove(w.OS("out/1")), os.Remove(w.OS("out/sub/3"))))
	_, here, err := w.Output(t.Context(), "out")
	must(t, err)
	w.write(t, ".git/4", "sub/4")
	must(t, os.Rename(w.OS("out/sub"), w.OS("elsewhere")))
	w.link(t, "out/sub", "../.git")
	must(t, w.Checkout(t.Context(), cache, want, tree, here))
	is, err := os.Stat(w.OS("out/sub/4"))
	must(t, err)
	theirs, err := os.Stat(w.OS(".git/4"))
	must(t, err)
	if os.SameFile(is, theirs) {
		t.Error("the output shares a file of .git")
	}
	if o, _, err := w.Output(t.Context(), "out"); err != nil || o != want {
		t.Errorf("%+v, %v", o, err)
	}
}
