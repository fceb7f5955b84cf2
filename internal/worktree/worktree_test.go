//go:build !windows

package worktree

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/gitlog"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/disk"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// workspace returns an empty workspace and its cache.
func workspace(t *testing.T) (*Work, *disk.Store) {
	t.Helper()
	root := t.TempDir()
	w := Open(root, Options{Rules: gitlog.NoRepoRules(), Workers: 4})
	if err := w.Prepare(); err != nil {
		t.Fatal(err)
	}
	return w, disk.Open(filepath.Join(root, Dir, "cache"))
}

// reopened is what the next run sees: only the saved index is known.
func reopened(t *testing.T, w *Work) *Work {
	t.Helper()
	if err := w.SaveIndex(); err != nil {
		t.Fatal(err)
	}
	return Open(w.root, w.opt)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *Work) write(t *testing.T, p repopath.Path, content string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(w.OS(p)), 0o777))
	must(t, os.WriteFile(w.OS(p), []byte(content), 0o666))
}

func (w *Work) link(t *testing.T, p repopath.Path, target string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(w.OS(p)), 0o777))
	must(t, os.Symlink(target, w.OS(p)))
}

func (w *Work) dep(t *testing.T, p repopath.Path, exclude ...repopath.Pattern) artifact.Input {
	t.Helper()
	in, _, err := w.Dep(t.Context(), spec.Dep{Path: p}, exclude, Made{})
	must(t, err)
	return in
}

func (w *Work) depErr(t *testing.T, d spec.Dep) error {
	t.Helper()
	in, _, err := w.Dep(t.Context(), d, nil, Made{})
	if err == nil {
		t.Fatalf("no error: %+v", in)
	}
	return err
}

// settle waits until the clock has left the time in which the racy rule mistrusts what is here now.
func settle() {
	for until := now() + 3*racy; now() < until; {
		runtime.Gosched()
	}
}

func names(t *object.Tree) (out []string) {
	for _, e := range t.Entries {
		out = append(out, fmt.Sprintf("%c %s", e.Kind, strings.TrimSuffix(string(e.Path)+" -> "+e.Target, " -> ")))
	}
	return out
}

// fill makes an out with all that a tree can hold.
func fill(t *testing.T, w *Work, p repopath.Path) {
	t.Helper()
	w.write(t, p.Child("a/readme"), "hello\n")
	w.write(t, p.Child("bin/run"), "#!/bin/sh\n")
	must(t, os.Chmod(w.OS(p.Child("bin/run")), 0o755))
	w.link(t, p.Child("bin/sh"), "run")
	w.link(t, p.Child("top"), "a/readme")
	must(t, os.MkdirAll(w.OS(p.Child("empty/deep")), 0o777))
}

var filled = []string{"f a/readme", "x bin/run", "l bin/sh -> run", "d empty/deep", "l top -> a/readme"}

// LESSONS 10: executable bits, symlinks and empty directories survive the cache.
func TestOutsKeepExecBitsSymlinksAndEmptyDirectories(t *testing.T) {
	w, cache := workspace(t)
	fill(t, w, "out")
	saved, err := w.Save(t.Context(), cache, "out")
	must(t, err)
	o, tree, err := w.Output(t.Context(), "out")
	must(t, err)
	if got := names(tree); !reflect.DeepEqual(got, filled) || o != saved || o.Digest != tree.Digest() {
		t.Errorf("%q, %+v, saved %+v", got, o, saved)
	}
	must(t, os.RemoveAll(w.OS("out")))
	stored, err := store.ReadTree(t.Context(), cache, saved.Digest)
	must(t, err)
	must(t, w.Checkout(t.Context(), cache, saved, stored))
	again, tree, err := reopened(t, w).Output(t.Context(), "out")
	must(t, err)
	if !reflect.DeepEqual(names(tree), filled) || again != saved {
		t.Errorf("after checkout: %q, %+v", names(tree), again)
	}
	if info, err := os.Stat(w.OS("out/bin/run")); err != nil || info.Mode()&0o100 == 0 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestAFileOutKeepsItsExecBit(t *testing.T) {
	w, cache := workspace(t)
	w.write(t, "run", "x")
	must(t, os.Chmod(w.OS("run"), 0o755))
	o, err := w.Save(t.Context(), cache, "run")
	must(t, err)
	must(t, os.Remove(w.OS("run")))
	must(t, w.Checkout(t.Context(), cache, o, nil))
	if got, _, err := w.Output(t.Context(), "run"); err != nil || got != o || !got.Exec {
		t.Errorf("%+v, %v", got, err)
	}
	if _, _, err := w.Output(t.Context(), "none"); !errors.Is(err, ErrAbsent) {
		t.Errorf("an absent out: %v", err)
	}
	if _, _, err := w.Output(t.Context(), "run/below"); !errors.Is(err, ErrAbsent) {
		t.Errorf("an out below a file: %v", err)
	}
}

// LESSONS 13: ignored files are not inputs.
func TestIgnoredJunkInADepIsNoInput(t *testing.T) {
	w, _ := workspace(t)
	w.write(t, ".gitignore", "*.log\n")
	w.write(t, "src/.pipeignore", "notes/\n")
	w.write(t, "src/main.go", "package main\n")
	before := w.dep(t, "src")
	w.write(t, "src/debug.log", "junk")
	w.write(t, "src/deep/other.log", "junk")
	w.write(t, "src/notes/todo", "junk")
	if after := w.dep(t, "src"); after != before {
		t.Errorf("junk changed %+v to %+v", before, after)
	}
	w.write(t, "src/deep/real.go", "package deep\n")
	withReal := w.dep(t, "src")
	if withReal.Digest == before.Digest {
		t.Error("a new file changed nothing")
	}
	w.write(t, ".gitignore", "*.go\n")
	w = reopened(t, w)
	if after := w.dep(t, "src"); after.Digest == withReal.Digest || after.Digest == before.Digest {
		t.Error("other ignore rules changed nothing")
	}
}

func TestADepThatIsItselfIgnoredCounts(t *testing.T) {
	w, _ := workspace(t)
	w.write(t, ".gitignore", "data/\nsecret.txt\n")
	w.write(t, "data/a", "1")
	w.write(t, "secret.txt", "1")
	dir, file := w.dep(t, "data"), w.dep(t, "secret.txt")
	if dir.Files != 1 {
		t.Errorf("%+v", dir)
	}
	w.write(t, "data/a", "2")
	w.write(t, "secret.txt", "2")
	if w.dep(t, "data").Digest == dir.Digest || w.dep(t, "secret.txt").Digest == file.Digest {
		t.Error("a change went unseen")
	}
}

func TestADirectoryWithAnOutInsideIsTheSameWhateverLiesOnTheDisk(t *testing.T) {
	w, _ := workspace(t)
	w.write(t, "src/main.c", "int main;")
	made := Made{
		Is: func(p repopath.Path) bool { return p == "src/gen/api.h" || p == "src/gen/docs" },
		Inside: []artifact.Output{
			{Path: "src/gen/api.h", Digest: digest.Of([]byte("recorded")), Size: 8},
			{Path: "src/gen/docs", Dir: true, Digest: digest.Of([]byte("tree")), Size: 99, Files: 3},
		},
	}
	read := func(w *Work, m Made) digest.Digest {
		in, _, err := w.Dep(t.Context(), spec.Dep{Path: "src"}, nil, m)
		must(t, err)
		return in.Digest
	}
	absent := read(w, made)
	w.write(t, "src/gen/api.h", "what lies here")
	w.write(t, "src/gen/docs/index.html", "<html>")
	if here := read(w, made); here != absent {
		t.Error("the out on the disk counts")
	}
	other := made
	other.Inside = append([]artifact.Output{{Path: "src/gen/api.h", Digest: digest.Of([]byte("other")), Size: 5}}, made.Inside[1:]...)
	if read(w, other) == absent {
		t.Error("the recorded out does not count")
	}
	if read(w, Made{}) == absent {
		t.Error("nobody makes it, but the file does not count")
	}
}

func TestADirectoryThatHoldsOnlyOutsNeedNotBeThere(t *testing.T) {
	w, _ := workspace(t)
	made := Made{Is: func(p repopath.Path) bool { return p == "gen/x" }, Inside: []artifact.Output{{Path: "gen/x", Digest: digest.Of([]byte("x")), Size: 1}}}
	in, tree, err := w.Dep(t.Context(), spec.Dep{Path: "gen", Dir: true}, nil, made)
	if err != nil || in.Files != 1 || len(tree.Entries) != 1 {
		t.Errorf("%+v, %v", in, err)
	}
	w.write(t, "gen/x", "something else")
	again, _, err := w.Dep(t.Context(), spec.Dep{Path: "gen", Dir: true}, nil, made)
	if err != nil || again != in {
		t.Errorf("%+v, %v", again, err)
	}
}

func TestEmptyDirectoriesAreNoInputs(t *testing.T) {
	w, _ := workspace(t)
	w.write(t, "src/a", "1")
	before := w.dep(t, "src")
	must(t, os.MkdirAll(w.OS("src/empty/deep"), 0o777))
	if after := w.dep(t, "src"); after != before {
		t.Errorf("%+v became %+v", before, after)
	}
}

func TestTheExecBitOfAnInputCounts(t *testing.T) {
	w, _ := workspace(t)
	w.write(t, "src/run", "1")
	dir, file := w.dep(t, "src"), w.dep(t, "src/run")
	must(t, os.Chmod(w.OS("src/run"), 0o755))
	if w.dep(t, "src").Digest == dir.Digest || !w.dep(t, "src/run").Exec || file.Exec {
		t.Error("chmod +x went unseen")
	}
}

func TestAMissingDepSaysWhatToDo(t *testing.T) {
	w, _ := workspace(t)
	for name, d := range map[string]spec.Dep{
		"path": {Path: "none", Place: "pipe.yaml:4:5"}, "glob": {Glob: "none/*.c", Place: "pipe.yaml:4:5"},
	} {
		var e *diag.Error
		if err := w.depErr(t, d); !errors.As(err, &e) || e.Kind != diag.Usage || e.Place != "pipe.yaml:4:5" || e.Hint == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.write(t, "file", "x")
	if err := w.depErr(t, spec.Dep{Path: "file", Dir: true}); !diag.Is(err, diag.Usage) {
		t.Error(err)
	}
}

func TestAGlobCountsWhatItNames(t *testing.T) {
	w, _ := workspace(t)
	w.write(t, "src/a.go", "1")
	w.write(t, "src/deep/b.go", "2")
	read := func(g repopath.Pattern, exclude ...repopath.Pattern) (artifact.Input, []string) {
		in, tree, err := w.Dep(t.Context(), spec.Dep{Glob: g}, exclude, Made{})
		must(t, err)
		return in, names(tree)
	}
	all, list := read("src/**/*.go")
	if !reflect.DeepEqual(list, []string{"f src/a.go", "f src/deep/b.go"}) {
		t.Errorf("%q", list)
	}
	w.write(t, "src/c.txt", "3")
	w.write(t, "src/odd\nname.txt", "not asked for")
	if again, _ := read("src/**/*.go"); again != all {
		t.Errorf("%+v became %+v", all, again)
	}
	if _, list := read("src/*.go"); !reflect.DeepEqual(list, []string{"f src/a.go"}) {
		t.Errorf("%q", list)
	}
	if _, list := read("src/**/*.go", "src/deep"); !reflect.DeepEqual(list, []string{"f src/a.go"}) {
		t.Errorf("%q", list)
	}
}

// TestAChangeThatKeepsSizeAndMtimeIsSeen is git's racy case: nothing but ctime tells, or not even that.
func TestAChangeThatKeepsSizeAndMtimeIsSeen(t *testing.T) {
	past := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, wait := range map[string]func(){"within a tick": func() {}, "later": settle} {
		t.Run(name, func(t *testing.T) {
			w, _ := workspace(t)
			for i := range 20 {
				w.write(t, "src/a", fmt.Sprintf("%03d", i))
				w.write(t, "b", fmt.Sprintf("%03d", i))
				must(t, os.Chtimes(w.OS("src/a"), past, past))
				must(t, os.Chtimes(w.OS("b"), past, past))
				want := digest.Of(fmt.Appendf(nil, "%03d", i))
				if got := w.dep(t, "b").Digest; got != want {
					t.Fatalf("file, change %d went unseen", i)
				}
				_, tree, err := w.Dep(t.Context(), spec.Dep{Path: "src"}, nil, Made{})
				must(t, err)
				if got := tree.Entries[0].Digest; got != want {
					t.Fatalf("directory, change %d went unseen", i)
				}
				if i < 3 {
					wait()
					w = reopened(t, w)
				}
			}
		})
	}
}

func TestAFileReplacedByRenameIsSeen(t *testing.T) {
	w, _ := workspace(t)
	w.write(t, "src/a", "old")
	w.write(t, "new", "new")
	before := w.dep(t, "src")
	settle()
	w.dep(t, "src")
	info, err := os.Stat(w.OS("src/a"))
	must(t, err)
	must(t, os.Chtimes(w.OS("new"), info.ModTime(), info.ModTime()))
	must(t, os.Rename(w.OS("new"), w.OS("src/a")))
	if w.dep(t, "src").Digest == before.Digest {
		t.Error("the new file went unseen")
	}
}

// poison makes every digest of an index false, so that whoever uses one is caught.
func poison(t *testing.T, w *Work) (files int) {
	t.Helper()
	for name := range w.index.raw {
		if w.index.dir(name) == nil {
			t.Fatalf("the saved record of %s is not read", name)
		}
	}
	for _, d := range w.index.dirs {
		for i := range d.entries {
			if d.entries[i].rec.hashed != 0 {
				d.entries[i].rec.digest = digest.Of([]byte("from the index"))
				files++
			}
		}
	}
	return files
}

func TestTheSecondScanOf10000FilesReadsNone(t *testing.T) {
	w, _ := workspace(t)
	const dirs, each = 100, 100
	for i := range dirs {
		dir := filepath.Join(w.root, "src", fmt.Sprint(i))
		must(t, os.MkdirAll(dir, 0o777))
		for j := range each {
			must(t, os.WriteFile(filepath.Join(dir, fmt.Sprint(j)), []byte("x"), 0o666))
		}
	}
	settle()
	first := w.dep(t, "src")
	w = reopened(t, w)
	if again := w.dep(t, "src"); again != first || again.Files != dirs*each {
		t.Errorf("%+v, then %+v", first, again)
	}
	w = Open(w.root, w.opt)
	if n := poison(t, w); n != dirs*each {
		t.Errorf("the index knows %d files", n)
	}
	_, tree, err := w.Dep(t.Context(), spec.Dep{Path: "src"}, nil, Made{})
	must(t, err)
	read := 0
	for _, e := range tree.Entries {
		if e.Digest != digest.Of([]byte("from the index")) {
			read++
		}
	}
	if read != 0 || len(tree.Entries) != dirs*each {
		t.Errorf("%d of %d files were read again", read, len(tree.Entries))
	}
	if w.index.dirty {
		t.Error("the index is to be written again")
	}
}

func TestADamagedIndexIsIgnored(t *testing.T) {
	w, _ := workspace(t)
	w.write(t, "src/a", "1")
	w.write(t, "b", "2")
	settle()
	dir, file := w.dep(t, "src"), w.dep(t, "b")
	must(t, w.SaveIndex())
	path := filepath.Join(w.root, Dir, "index")
	good, err := os.ReadFile(path)
	must(t, err)
	for i := range good {
		bad := append([]byte(nil), good...)
		bad[i] ^= 0x40
		must(t, os.WriteFile(path, bad, 0o666))
		if x := loadIndex(path); len(x.raw) != 0 || len(x.singles) != 0 {
			t.Fatalf("byte %d is damaged: %d directories, %d files", i, len(x.raw), len(x.singles))
		}
		must(t, os.WriteFile(path, good[:i], 0o666))
		if x := loadIndex(path); len(x.raw) != 0 || len(x.singles) != 0 {
			t.Fatalf("cut at %d: %d directories, %d files", i, len(x.raw), len(x.singles))
		}
	}
	w = Open(w.root, w.opt)
	if w.dep(t, "src") != dir || w.dep(t, "b") != file {
		t.Error("without an index the digests are others")
	}
	must(t, w.SaveIndex())
	if x := loadIndex(path); len(x.raw) == 0 || len(x.singles) == 0 {
		t.Error("the index was not written anew")
	}
}

func FuzzIndexDirectory(f *testing.F) {
	f.Add(appendDir(nil, &dirRec{listed: 1, entries: []entry{{name: "a", kind: kindFile, rec: fileRec{hashed: 1}}, {name: "b", kind: kindDir, ignored: true}}}))
	f.Fuzz(func(_ *testing.T, b []byte) { parseDir(b) })
}

func TestAQuestionMakesNoDirectory(t *testing.T) {
	root := t.TempDir()
	w := Open(root, Options{Rules: gitlog.NoRepoRules()})
	w.write(t, "a", "1")
	w.dep(t, "a")
	must(t, w.SaveIndex())
	if _, err := os.Stat(filepath.Join(root, Dir)); !errors.Is(err, fs.ErrNotExist) { // LESSONS 19
		t.Errorf("%s is there: %v", Dir, err)
	}
}

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
		if err := w.Checkout(t.Context(), cache, saved, tree); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
		if _, got, err := w.Output(t.Context(), "out"); err != nil || !reflect.DeepEqual(names(got), []string{"f mine"}) {
			t.Errorf("%s: the out is %q, %v", c.name, names(got), err)
		}
	}
	must(t, cache.Put(t.Context(), lost, store.Bytes([]byte("hello\n"))))
	must(t, w.Checkout(t.Context(), cache, saved, tree))
	if o, _, err := w.Output(t.Context(), "out"); err != nil || o != saved {
		t.Errorf("%+v, %v", o, err)
	}
	if left, err := os.ReadDir(w.Tmp()); err != nil || len(left) != 0 {
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
		must(t, w.Checkout(t.Context(), cache, dir, tree))
		if o, _, err := w.Output(t.Context(), "out"); err != nil || o != dir {
			t.Errorf("%+v, %v", o, err)
		}
		must(t, w.Checkout(t.Context(), cache, file, nil))
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
		if err := w.Checkout(t.Context(), cache, tree.Output("out"), tree); !errors.Is(err, object.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Lstat(w.OS("out")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: something is at the out", name)
		}
	}
	w.link(t, "behind", outside)
	err := w.Checkout(t.Context(), cache, artifact.Output{Path: "behind/x", Digest: ref.Digest, Size: 1}, nil)
	if !diag.Is(err, diag.Policy) {
		t.Errorf("behind a symlink: %v", err)
	}
	if _, err := w.MoveAside("s", []repopath.Path{"behind/x"}); !diag.Is(err, diag.Policy) {
		t.Errorf("move aside behind a symlink: %v", err)
	}
	if left, err := os.ReadDir(outside); err != nil || len(left) != 0 {
		t.Errorf("outside: %v, %v", left, err)
	}
}

// LESSONS 8: old outs are moved aside, and put back when the command fails.
func TestOutsMovedAsideComeBackAndPartialOnesAreKept(t *testing.T) {
	w, _ := workspace(t)
	w.write(t, "old/a", "old")
	a, err := w.MoveAside("build", []repopath.Path{"old", "new/deep"})
	must(t, err)
	if _, err := os.Lstat(w.OS("old")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the old out is still there: %v", err)
	}
	if _, err := os.Stat(w.OS("new")); err != nil {
		t.Errorf("the directory of a new out is not made: %v", err)
	}
	w.write(t, "old/b", "half")
	w.write(t, "new/deep", "half")
	partial, err := a.Restore()
	must(t, err)
	if want := []string{".pipe/partial/build/old", ".pipe/partial/build/new/deep"}; !reflect.DeepEqual(partial, want) {
		t.Errorf("partial: %q", partial)
	}
	for path, want := range map[repopath.Path]string{"old/a": "old", ".pipe/partial/build/old/b": "half", ".pipe/partial/build/new/deep": "half"} {
		if b, err := os.ReadFile(w.OS(path)); err != nil || string(b) != want {
			t.Errorf("%s: %q, %v", path, b, err)
		}
	}
	if _, err := os.Lstat(w.OS("new/deep")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the partial out is still there: %v", err)
	}
}

func TestDroppedOutsAreGone(t *testing.T) {
	w, _ := workspace(t)
	w.write(t, "out", "old")
	a, err := w.MoveAside("build", []repopath.Path{"out"})
	must(t, err)
	w.write(t, "out", "new")
	must(t, a.Drop())
	stages, err := w.Recover()
	if b, rerr := os.ReadFile(w.OS("out")); err != nil || rerr != nil || len(stages) != 0 || string(b) != "new" {
		t.Errorf("%q, %v, %v, recovered %q", b, err, rerr, stages)
	}
	if left, err := filepath.Glob(filepath.Join(w.root, Dir, "aside", "*")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

func TestRecoverPutsBackWhatAKilledRunHadMoved(t *testing.T) {
	w, _ := workspace(t)
	w.write(t, "a", "old a")
	w.write(t, "b", "old b")
	a, err := w.MoveAside("build", []repopath.Path{"a", "b", "c"})
	must(t, err)
	w.write(t, "a", "half")
	w.write(t, ".pipe/tmp/rubbish/x", "")
	// As if it was killed between its moves: b was not yet moved.
	must(t, os.Rename(filepath.Join(a.dir, "1"), w.OS("b")))
	w.write(t, ".pipe/aside/run-without-note/0", "rubbish")
	w.write(t, ".pipe/aside/run-evil/note.json", `{"stage":"evil","outs":[{"path":"../../x","kept":"0"}]}`)
	w.write(t, ".pipe/aside/run-evil/0", "evil")
	for range 2 {
		stages, err := w.Recover()
		must(t, err)
		if len(stages) > 1 {
			t.Errorf("recovered %q", stages)
		}
		for path, want := range map[repopath.Path]string{"a": "old a", "b": "old b", ".pipe/partial/build/a": "half"} {
			if b, err := os.ReadFile(w.OS(path)); err != nil || string(b) != want {
				t.Errorf("%s: %q, %v", path, b, err)
			}
		}
	}
	for _, dir := range []string{"aside", "tmp"} {
		if left, err := os.ReadDir(filepath.Join(w.root, Dir, dir)); err != nil || len(left) != 0 {
			t.Errorf("left in %s: %v, %v", dir, left, err)
		}
	}
}

func TestGitsOwnDirectoryIsNoInputAndNoOut(t *testing.T) {
	w, cache := workspace(t)
	w.write(t, "sub/a", "1")
	before := w.dep(t, "sub")
	w.write(t, "sub/.git/config", "x")
	if after := w.dep(t, "sub"); after != before {
		t.Errorf("%+v became %+v", before, after)
	}
	if o, err := w.Save(t.Context(), cache, "sub"); err == nil {
		t.Errorf("an out with .git in it was saved: %+v", o)
	}
}

func TestPipesOwnDirectoryIsNoInput(t *testing.T) {
	w, _ := workspace(t)
	w.write(t, "a", "1")
	before := w.dep(t, repopath.Root)
	w.write(t, ".pipe/cache/x", "1")
	if after := w.dep(t, repopath.Root); after != before {
		t.Errorf("%+v became %+v", before, after)
	}
}

func TestSocketsAndPipesAreSkippedInDepsAndRefusedInOuts(t *testing.T) {
	w, cache := workspace(t)
	w.write(t, "d/a", "1")
	before := w.dep(t, "d")
	must(t, syscall.Mkfifo(w.OS("d/fifo"), 0o666))
	if after := w.dep(t, "d"); after != before {
		t.Errorf("%+v became %+v", before, after)
	}
	if _, err := w.Save(t.Context(), cache, "d"); err == nil || !strings.HasPrefix(err.Error(), "d/fifo: ") {
		t.Errorf("an out with a named pipe: %v", err)
	}
	must(t, os.Remove(w.OS("d/fifo")))
	t.Chdir(w.OS("d")) // a socket's path is short
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", "sock")
	must(t, err)
	defer func() { must(t, l.Close()) }()
	if after := w.dep(t, "d"); after != before {
		t.Errorf("%+v became %+v", before, after)
	}
	if _, err := w.Save(t.Context(), cache, "d"); err == nil || !strings.HasPrefix(err.Error(), "d/sock: ") {
		t.Errorf("an out with a socket: %v", err)
	}
	if _, err := w.Save(t.Context(), cache, "d/sock"); err == nil || !strings.Contains(err.Error(), "socket") {
		t.Errorf("a socket as an out: %v", err)
	}
}

func TestASymlinkThatLeavesADepCountsByItsContent(t *testing.T) {
	w, cache := workspace(t)
	w.write(t, "shared/lib.c", "1")
	w.link(t, "src/lib.c", "../shared/lib.c")
	before := w.dep(t, "src")
	w.write(t, "shared/lib.c", "2")
	if w.dep(t, "src").Digest == before.Digest {
		t.Error("a change behind the link went unseen")
	}
	if _, err := w.Save(t.Context(), cache, "src"); err == nil || !strings.HasPrefix(err.Error(), "src/lib.c: ") {
		t.Errorf("an out with such a link: %v", err)
	}
	w.link(t, "src/gone", "../nowhere")
	w.dep(t, "src")
	w.link(t, "src/dir", "../shared")
	if err := w.depErr(t, spec.Dep{Path: "src"}); !strings.HasPrefix(err.Error(), "src/dir: ") {
		t.Error(err)
	}
}

func TestASymlinkInsideADepCountsByItsTarget(t *testing.T) {
	w, _ := workspace(t)
	w.write(t, "src/a", "1")
	w.write(t, "src/b", "2")
	w.link(t, "src/l", "a")
	before := w.dep(t, "src")
	must(t, os.Remove(w.OS("src/l")))
	w.link(t, "src/l", "b")
	if w.dep(t, "src").Digest == before.Digest {
		t.Error("another target went unseen")
	}
}

func TestSaveInputsRefusesAFileThatChanged(t *testing.T) {
	w, cache := workspace(t)
	w.write(t, "src/a", "1")
	w.write(t, "src/b", "2")
	_, tree, err := w.Dep(t.Context(), spec.Dep{Path: "src"}, nil, Made{})
	must(t, err)
	w.write(t, "src/b", "3")
	if err := w.SaveInputs(t.Context(), cache, "src", tree); !errors.Is(err, store.ErrCorrupt) { // LESSONS 3
		t.Errorf("%v", err)
	}
	w.write(t, "src/b", "2")
	must(t, w.SaveInputs(t.Context(), cache, "src", tree))
	for _, e := range tree.Entries {
		if _, err := store.ReadAll(t.Context(), cache, object.Ref{Digest: e.Digest}, 10); err != nil {
			t.Error(err)
		}
	}
}

func TestACancelledScanStops(t *testing.T) {
	w, _ := workspace(t)
	w.write(t, "src/a", "1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := w.Dep(ctx, spec.Dep{Path: "src"}, nil, Made{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
