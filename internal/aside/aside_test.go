//go:build !windows

package aside

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/repopath"
)

func workspace(t *testing.T) *worktree.Work {
	t.Helper()
	w := opened(t, t.TempDir())
	must(t, w.Prepare())
	return w
}

func opened(t *testing.T, root string) *worktree.Work {
	t.Helper()
	w, err := worktree.Open(root, worktree.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, w.Close()) })
	return w
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, w *worktree.Work, p repopath.Path, content string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(w.OS(p)), 0o777))
	must(t, os.WriteFile(w.OS(p), []byte(content), 0o666))
}

// LESSONS 8: old outs are moved aside, and put back when the command fails.
func TestOutsMovedAsideComeBackAndPartialOnesAreKept(t *testing.T) {
	w := workspace(t)
	write(t, w, "old/a", "old")
	a, err := Move(w, "build", []repopath.Path{"old", "new/deep"})
	must(t, err)
	if _, err := os.Lstat(w.OS("old")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the old out is still there: %v", err)
	}
	if _, err := os.Stat(w.OS("new")); err != nil {
		t.Errorf("the directory of a new out is not made: %v", err)
	}
	write(t, w, "old/b", "half")
	write(t, w, "new/deep", "half")
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
	w := workspace(t)
	write(t, w, "out", "old")
	a, err := Move(w, "build", []repopath.Path{"out"})
	must(t, err)
	write(t, w, "out", "new")
	must(t, a.Drop())
	stages, _, err := Recover(w)
	if b, rerr := os.ReadFile(w.OS("out")); err != nil || rerr != nil || len(stages) != 0 || string(b) != "new" {
		t.Errorf("%q, %v, %v, recovered %q", b, err, rerr, stages)
	}
	if left, err := filepath.Glob(filepath.Join(w.Root(), worktree.Dir, "aside", "*")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

func TestRecoverPutsBackWhatAKilledRunHadMoved(t *testing.T) {
	w := workspace(t)
	write(t, w, "a", "old a")
	write(t, w, "b", "old b")
	a, err := Move(w, "build", []repopath.Path{"a", "b", "c"})
	must(t, err)
	write(t, w, "a", "half")
	write(t, w, ".pipe/tmp/rubbish/x", "")
	write(t, w, ".pipe/tmp/more", "")
	// As if it was killed between its moves: b was not yet moved.
	must(t, os.Rename(filepath.Join(a.dir.Name(), "1"), w.OS("b")))
	write(t, w, ".pipe/aside/run-without-note/0", "rubbish")
	for _, want := range [][]string{{"build"}, nil} {
		stages, _, err := Recover(w)
		must(t, err)
		if !slices.Equal(stages, want) {
			t.Errorf("recovered %q, want %q", stages, want)
		}
		for path, want := range map[repopath.Path]string{"a": "old a", "b": "old b", ".pipe/partial/build/a": "half"} {
			if b, err := os.ReadFile(w.OS(path)); err != nil || string(b) != want {
				t.Errorf("%s: %q, %v", path, b, err)
			}
		}
		for _, dir := range []string{"aside", "tmp"} {
			if left, err := os.ReadDir(filepath.Join(w.Root(), worktree.Dir, dir)); err != nil || len(left) != 0 {
				t.Errorf("left in %s: %v, %v", dir, left, err)
			}
		}
	}
}

// A repository that somebody else made may bring a note.
func TestANoteThatLeadsOutsideIsThrownAway(t *testing.T) {
	for name, note := range map[string]string{
		"a path outside":            `{"stage":"evil","outs":[{"path":"../../x","kept":"0"}]}`,
		"a stage that is a path":    `{"stage":"../..","outs":[]}`,
		"a stage that leads up":     `{"stage":"a/../../..","outs":[]}`,
		"what lies elsewhere":       `{"stage":"evil","outs":[{"path":"x","kept":"../../../mine"}]}`,
		"the directory itself":      `{"stage":"evil","outs":[{"path":"x","kept":".."}]}`,
		"no stage":                  `{"outs":[{"path":"x","kept":"0"}]}`,
		"something else altogether": `[]`,
	} {
		w := workspace(t)
		write(t, w, "mine", "mine")
		write(t, w, ".pipe/aside/run-evil/note.json", note)
		write(t, w, ".pipe/aside/run-evil/0", "evil")
		if stages, _, err := Recover(w); err != nil || len(stages) > 0 {
			t.Errorf("%s: recovered %q, %v", name, stages, err)
		}
		if b, err := os.ReadFile(w.OS("mine")); err != nil || string(b) != "mine" {
			t.Errorf("%s: %q, %v", name, b, err)
		}
		for _, p := range []repopath.Path{"x", ".pipe/aside/run-evil"} {
			if _, err := os.Lstat(w.OS(p)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: %s is there: %v", name, p, err)
			}
		}
	}
}

func TestAWorkspaceIsRecoveredWhateverItsDirectoryIsCalled(t *testing.T) {
	root := filepath.Join(t.TempDir(), "[a*")
	must(t, os.Mkdir(root, 0o777))
	w := opened(t, root)
	must(t, w.Prepare())
	write(t, w, "a", "old")
	write(t, w, ".pipe/tmp/rubbish", "")
	_, err := Move(w, "build", []repopath.Path{"a"})
	must(t, err)
	stages, _, err := Recover(w)
	if b, rerr := os.ReadFile(w.OS("a")); err != nil || rerr != nil || len(stages) != 1 || string(b) != "old" {
		t.Errorf("recovered %q, %v; the old out: %q, %v", stages, err, b, rerr)
	}
	if left, err := os.ReadDir(w.OS(".pipe/tmp")); err != nil || len(left) > 0 {
		t.Errorf("left in tmp: %v, %v", left, err)
	}
}

func TestAnOutThatCannotBePutBackStaysAside(t *testing.T) {
	for name, block := range map[string]func(path string) error{
		"a file":    func(path string) error { return os.WriteFile(path, nil, 0o666) },
		"a symlink": func(path string) error { return os.Symlink("nowhere", path) },
	} {
		w := workspace(t)
		write(t, w, "a", "old")
		a, err := Move(w, "build", []repopath.Path{"a"})
		must(t, err)
		write(t, w, "a", "half")
		must(t, block(w.OS(".pipe/partial")))
		if _, err := a.Restore(); err == nil {
			t.Errorf("%s: the partial out was kept somewhere", name)
		}
		for path, want := range map[string]string{w.OS("a"): "half", filepath.Join(a.dir.Name(), "0"): "old"} {
			if b, err := os.ReadFile(path); err != nil || string(b) != want {
				t.Errorf("%s: %s: %q, %v", name, path, b, err)
			}
		}
		must(t, os.Remove(w.OS(".pipe/partial")))
		partial, err := a.Restore()
		if b, rerr := os.ReadFile(w.OS("a")); err != nil || rerr != nil || string(b) != "old" || len(partial) != 1 {
			t.Errorf("%s: %q, %v, %v, partial %q", name, b, err, rerr, partial)
		}
	}
}

// Between a look and a rename a path may go: the rename's error is told, never passed over.
func TestARenameThatFailsIsAnError(t *testing.T) {
	w := workspace(t)
	a, err := Move(w, "build", nil)
	must(t, err)
	gone := out{Path: "gone", Kept: "0"}
	in, err := w.Holder(gone.Path)
	must(t, err)
	_, partial := a.setPartial(in, gone.Path)
	for what, err := range map[string]error{"aside": a.move(gone), "back": a.putBack(gone), "to the partial ones": partial} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", what, err)
		}
	}
	write(t, w, "file", "")
	if err := a.putBack(out{Path: "file/below", Kept: "0"}); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("below a file: %v", err)
	}
	if left, err := a.clear(repopath.Path(strings.Repeat("x", 300))); !errors.Is(err, syscall.ENAMETOOLONG) || left != "" {
		t.Errorf("what cannot be looked at: %q, %v", left, err)
	}
}

func TestRecoverKeepsWhatItCannotPutBackAndSaysWhere(t *testing.T) {
	w := workspace(t)
	write(t, w, ".pipe/aside/run-1/note.json", `{"stage":"build","outs":[{"path":"a","kept":"0"}]}`)
	write(t, w, ".pipe/aside/run-1/0", "old")
	write(t, w, "a", "half")
	write(t, w, ".pipe/partial", "where the partial output should go")
	stages, kept, err := Recover(w)
	dir := w.OS(".pipe/aside/kept-run-1")
	if err != nil || len(stages) != 0 || len(kept) != 1 || !strings.HasPrefix(kept[0], "build: could not restore the previous outputs (") || !strings.Contains(kept[0], ".pipe/aside/kept-run-1") {
		t.Errorf("%q, %q, %v", stages, kept, err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "0")); err != nil || string(b) != "old" {
		t.Errorf("%q, %v", b, err)
	}
	if stages, _, err := Recover(w); err != nil || len(stages) > 0 {
		t.Errorf("a second time: %q, %v", stages, err)
	}
}

func TestANoteThatCannotBeReadIsNotTakenForNone(t *testing.T) {
	w := workspace(t)
	write(t, w, ".pipe/aside/run-x/note.json/unreadable", "")
	write(t, w, ".pipe/aside/run-x/0", "old")
	if _, _, err := Recover(w); err == nil {
		t.Error("no error")
	}
	if _, err := os.Lstat(w.OS(".pipe/aside/run-x/0")); err != nil {
		t.Error(err)
	}
}

func TestAMoveThatFailsLeavesEverythingWhereItWas(t *testing.T) {
	long := repopath.Path(strings.Repeat("x", 300)) // no file system takes it
	for name, paths := range map[string][]repopath.Path{
		"a file where a directory must be": {"a", "file/new"},
		"a name that is too long":          {"a", long},
		"a directory that is too long":     {"a", long + "/new"},
	} {
		w := workspace(t)
		write(t, w, "a", "old")
		write(t, w, "file", "mine")
		if _, err := Move(w, "build", paths); err == nil {
			t.Errorf("%s: it did not fail", name)
		}
		for p, want := range map[repopath.Path]string{"a": "old", "file": "mine"} {
			if b, err := os.ReadFile(w.OS(p)); err != nil || string(b) != want {
				t.Errorf("%s: %s: %q, %v", name, p, b, err)
			}
		}
	}
	w := workspace(t)
	write(t, w, "a", "old")
	write(t, w, ".pipe/aside", "in the way")
	if _, err := Move(w, "build", []repopath.Path{"a"}); err == nil {
		t.Error("there is no room for old outs, and no error")
	}
	if _, err := os.Lstat(w.OS("a")); err != nil {
		t.Error(err)
	}
}

func TestThereMayBeNothingToRecover(t *testing.T) {
	w := opened(t, t.TempDir())
	for range 2 {
		if stages, _, err := Recover(w); err != nil || len(stages) > 0 {
			t.Errorf("%q, %v", stages, err)
		}
		must(t, w.Prepare())
	}
}

func TestWhatWasKeptEarlierHindersNoRecovery(t *testing.T) {
	w := workspace(t)
	write(t, w, ".pipe/aside/kept-run-1/0", "older")
	write(t, w, "a", "old")
	_, err := Move(w, "build", []repopath.Path{"a"})
	must(t, err)
	if stages, _, err := Recover(w); err != nil || !slices.Equal(stages, []string{"build"}) {
		t.Errorf("%q, %v", stages, err)
	}
	if _, err := os.Lstat(w.OS(".pipe/aside/kept-run-1/0")); err != nil {
		t.Error(err)
	}
}

func TestACommandThatLeftNothingHasNoPartialOuts(t *testing.T) {
	w := workspace(t)
	write(t, w, "a", "old")
	a, err := Move(w, "build", []repopath.Path{"a", "new"})
	must(t, err)
	partial, err := a.Restore()
	if b, rerr := os.ReadFile(w.OS("a")); err != nil || rerr != nil || string(b) != "old" || len(partial) > 0 {
		t.Errorf("%q, %v, %v, partial %q", b, err, rerr, partial)
	}
}

// A kill in the middle of Drop must not leave a note over half of the old outs:
// as long as the note cannot go, nothing goes.
func TestDropRemovesTheNoteFirst(t *testing.T) {
	w := workspace(t)
	write(t, w, "a", "old")
	a, err := Move(w, "build", []repopath.Path{"a"})
	must(t, err)
	note := filepath.Join(a.dir.Name(), noteName)
	must(t, os.Remove(note))
	must(t, os.MkdirAll(filepath.Join(note, "cannot be removed"), 0o777))
	if err := a.Drop(); err == nil {
		t.Fatal("the note could be removed")
	}
	if b, err := os.ReadFile(filepath.Join(a.dir.Name(), "0")); err != nil || string(b) != "old" {
		t.Errorf("the old out went before its note: %q, %v", b, err)
	}
}

func TestNothingIsMovedThroughASymlink(t *testing.T) {
	w, outside := workspace(t), t.TempDir()
	must(t, os.WriteFile(filepath.Join(outside, "x"), nil, 0o666))
	must(t, os.Symlink(outside, w.OS("behind")))
	write(t, w, "a", "old")
	if _, err := Move(w, "s", []repopath.Path{"a", "behind/x"}); !diag.Is(err, diag.Policy) {
		t.Errorf("%v", err)
	}
	for _, path := range []string{w.OS("a"), filepath.Join(outside, "x")} {
		if _, err := os.Lstat(path); err != nil {
			t.Error(err)
		}
	}
}

// The command put a file where the directory of an out was.
func TestAFileInTheWayOfAnOldOutIsKeptAsPartial(t *testing.T) {
	w := workspace(t)
	write(t, w, "d/deep/out", "old")
	a, err := Move(w, "build", []repopath.Path{"d/deep/out"})
	must(t, err)
	must(t, os.RemoveAll(w.OS("d")))
	write(t, w, "d", "in the way")
	partial, err := a.Restore()
	if err != nil || !reflect.DeepEqual(partial, []string{".pipe/partial/build/d"}) {
		t.Errorf("%q, %v", partial, err)
	}
	if b, err := os.ReadFile(w.OS("d/deep/out")); err != nil || string(b) != "old" {
		t.Errorf("%q, %v", b, err)
	}
}
