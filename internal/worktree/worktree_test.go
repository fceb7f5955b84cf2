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
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/disk"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// workspace returns an empty workspace, read by the given clock or hooks, and its cache.
func workspace(t *testing.T, opt ...Options) (*Work, *disk.Store) {
	t.Helper()
	root := t.TempDir()
	o := Options{Workers: 4}
	if len(opt) > 0 {
		o = opt[0]
	}
	w := opened(t, root, o)
	must(t, w.Prepare())
	return w, disk.Open(filepath.Join(root, Dir, "cache"))
}

// reopened is what the next run sees: only the saved index is known.
func reopened(t *testing.T, w *Work) *Work {
	t.Helper()
	must(t, w.saveIndex())
	return opened(t, w.root, w.opt)
}

func opened(t *testing.T, root string, opt Options) *Work {
	t.Helper()
	w, err := Open(root, opt)
	must(t, err)
	t.Cleanup(func() { must(t, w.dir.Close()) })
	return w
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
	must(t, w.Checkout(t.Context(), cache, saved, stored, nil))
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
	must(t, w.Checkout(t.Context(), cache, o, nil, nil))
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

func TestAQuestionMakesNoDirectory(t *testing.T) {
	root := t.TempDir()
	w := opened(t, root, Options{})
	w.write(t, "a", "1")
	if _, err := w.File(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	must(t, w.saveIndex())
	if _, err := os.Stat(filepath.Join(root, Dir)); !errors.Is(err, fs.ErrNotExist) { // LESSONS 19
		t.Errorf("%s is there: %v", Dir, err)
	}
}

func TestGitIsToldToIgnorePipesDirectory(t *testing.T) {
	w := opened(t, t.TempDir(), Options{})
	for _, want := range []string{"*\n", "mine\n"} {
		must(t, w.Prepare())
		if b, err := os.ReadFile(w.OS(".pipe/.gitignore")); err != nil || string(b) != want {
			t.Errorf("%q, %v, want %q", b, err, want)
		}
		w.write(t, ".pipe/.gitignore", "mine\n") // what is there stays
	}
}

func TestAPathThatCannotBeLookedAtIsNotTakenForASafeOne(t *testing.T) {
	w, _ := workspace(t)
	if _, err := w.Holder(repopath.Path(strings.Repeat("x", 300) + "/out")); !errors.Is(err, syscall.ENAMETOOLONG) {
		t.Errorf("%v", err)
	}
}

func TestNothingIsSavedWhereTheCacheCannotBegin(t *testing.T) {
	w, _ := workspace(t)
	cache := disk.Open(filepath.Join(w.root, "none", "cache"))
	w.write(t, "out/a", "1")
	o, tree, err := w.Output(t.Context(), "out")
	must(t, err)
	if _, err := w.Save(t.Context(), cache, o.Path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an out: %v", err)
	}
	if err := w.SaveInputs(t.Context(), cache, o.Path, tree); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("inputs: %v", err)
	}
}

// full is a cache that takes nothing more.
type full struct {
	*disk.Store
	err error
}

// Begin implements store.Cache.
func (f full) Begin() (store.Batch, error) {
	b, err := f.Store.Begin()
	return fullBatch{b, f.err}, err
}

type fullBatch struct {
	store.Batch
	err error
}

func (f fullBatch) Put(context.Context, object.Ref, store.Source) error { return f.err }

func TestAFileThatCannotBeSavedIsAnError(t *testing.T) {
	opt, _ := counted(time.Hour)
	w, cache := workspace(t, opt)
	w.write(t, "out/a", "1")
	w.write(t, "file", "1")
	for _, p := range []repopath.Path{"out", "file"} {
		_, _, err := w.Output(t.Context(), p) // so that Save need not hash it
		must(t, err)
		if _, err := w.Save(t.Context(), full{cache, syscall.ENOSPC}, p); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%s: %v", p, err)
		}
	}
}

func TestADirectoryWithAFileThatChangesAllTheTimeIsRefused(t *testing.T) {
	w, cache := workspace(t, Options{reading: func(path string) {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		must(t, err)
		_, err = f.WriteString("more")
		must(t, errors.Join(err, f.Close()))
	}})
	w.write(t, "out/a", "1")
	if o, _, err := w.Output(t.Context(), "out"); err == nil || !strings.Contains(err.Error(), "while pipe reads it") {
		t.Errorf("%+v, %v", o, err)
	}
	if o, err := w.Save(t.Context(), cache, "out"); err == nil {
		t.Errorf("saved as %+v", o)
	}
}

// LESSONS 9: presence is no proof of content, but a size that is wrong proves damage.
func TestACachedFileOfTheWrongSizeIsSavedAgain(t *testing.T) {
	opt, opened := counted(time.Hour)
	w, cache := workspace(t, opt)
	w.write(t, "out/a", "whole")
	o, err := w.Save(t.Context(), cache, "out")
	must(t, err)
	ref := object.Ref{Digest: digest.Of([]byte("whole"))}
	must(t, os.Remove(filepath.Join(w.root, Dir, "cache", store.Path(ref))))
	w.write(t, ".pipe/cache/"+repopath.Path(store.Path(ref)), "hole")
	opened.Store(0)
	again, err := w.Save(t.Context(), cache, "out")
	if err != nil || again != o || opened.Load() != 0 {
		t.Errorf("%+v, %v; %d files were hashed", again, err, opened.Load())
	}
	if b, err := store.ReadAll(t.Context(), cache, ref, 10); err != nil || string(b) != "whole" {
		t.Errorf("%q, %v", b, err)
	}
	// What the cache has whole is not read at all.
	must(t, os.Remove(w.OS("out/a")))
	must(t, w.SaveInputs(t.Context(), cache, "out", &object.Tree{Entries: []object.Entry{{Kind: object.File, Path: "a", Digest: ref.Digest, Size: 5}}}))
}

func TestSaveInputsRefusesAFileThatChanged(t *testing.T) {
	w, cache := workspace(t)
	w.write(t, "src/a", "1")
	w.write(t, "src/b", "2")
	_, tree, err := w.Output(t.Context(), "src")
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

func TestSocketsAndPipesAreRefusedInOuts(t *testing.T) {
	w, cache := workspace(t)
	w.write(t, "d/a", "1")
	must(t, syscall.Mkfifo(w.OS("d/fifo"), 0o666))
	if _, err := w.Save(t.Context(), cache, "d"); err == nil || !strings.HasPrefix(err.Error(), "d/fifo: ") {
		t.Errorf("an out with a named pipe: %v", err)
	}
	if _, err := w.Save(t.Context(), cache, "d/fifo"); err == nil || !strings.Contains(err.Error(), "named pipe") {
		t.Errorf("a named pipe as an out: %v", err)
	}
	must(t, os.Remove(w.OS("d/fifo")))
	w.link(t, "l", "d/a")
	if _, err := w.Save(t.Context(), cache, "l"); err == nil || !strings.Contains(err.Error(), "symlink") {
		t.Errorf("a symlink as an out: %v", err)
	}
	t.Chdir(w.OS("d")) // a socket's path is short
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", "sock")
	must(t, err)
	defer func() { must(t, l.Close()) }()
	if _, err := w.Save(t.Context(), cache, "d"); err == nil || !strings.HasPrefix(err.Error(), "d/sock: ") {
		t.Errorf("an out with a socket: %v", err)
	}
	if _, err := w.Save(t.Context(), cache, "d/sock"); err == nil || !strings.Contains(err.Error(), "socket") {
		t.Errorf("a socket as an out: %v", err)
	}
}

// The command has run by then: what cannot be kept must not cost the build.
func TestGitsOwnDirectoryInAnOutIsLeftOutAndNoted(t *testing.T) {
	var notes []string
	w, cache := workspace(t, Options{Note: func(text string) { notes = append(notes, text) }})
	w.write(t, "out/a", "1")
	w.write(t, "out/deep/.git/config", "x")
	w.write(t, "out/sub/.GIT", "gitdir: elsewhere")
	w.write(t, "out/sub/b", "2")
	_, tree, err := w.Output(t.Context(), "out")
	must(t, err)
	if got, want := names(tree), []string{"f a", "d deep", "f sub/b"}; !reflect.DeepEqual(got, want) || len(notes) != 0 {
		t.Errorf("%q; looking noted %q", got, notes)
	}
	for range 2 {
		o, err := w.Save(t.Context(), cache, "out")
		if err != nil || o != tree.Output("out") {
			t.Errorf("%+v, %v", o, err)
		}
	}
	slices.Sort(notes)
	if len(notes) != 2 || !strings.HasPrefix(notes[0], "out/deep/.git was left out") || !strings.HasPrefix(notes[1], "out/sub/.GIT was") {
		t.Errorf("%q", notes)
	}
}

func TestASymlinkThatLeavesAnOutIsRefused(t *testing.T) {
	w, cache := workspace(t)
	w.write(t, "shared/lib.c", "1")
	w.link(t, "out/lib.c", "../shared/lib.c")
	if _, err := w.Save(t.Context(), cache, "out"); err == nil || !strings.HasPrefix(err.Error(), "out/lib.c: ") {
		t.Errorf("%v", err)
	}
}

func TestHashingEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("gone")
	w, _ := workspace(t, Options{reading: func(string) { cancel(gone) }})
	w.write(t, "a", "x")
	if _, err := w.File(ctx, "a"); !errors.Is(err, gone) {
		t.Errorf("%v", err)
	}
}
