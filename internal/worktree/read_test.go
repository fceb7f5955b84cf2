//go:build !windows

package worktree

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/ignore"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/statindex"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// counted returns options that count the files that are opened, with a clock that
// runs by ahead, so that nothing is racy unless ahead is small.
func counted(ahead time.Duration) (Options, *atomic.Int64) {
	n := new(atomic.Int64)
	return Options{
		Workers: 4,
		Now:     func() int64 { return time.Now().Add(ahead).UnixNano() },
		reading: func(string) { n.Add(1) },
	}, n
}

func TestTheSecondScanReadsNoFile(t *testing.T) {
	opt, opened := counted(time.Hour)
	w, _ := workspace(t, opt)
	const dirs, each = 20, 50
	for i := range dirs {
		dir := filepath.Join(w.root, "src", fmt.Sprint(i))
		must(t, os.MkdirAll(dir, 0o777))
		for j := range each {
			must(t, os.WriteFile(filepath.Join(dir, fmt.Sprint(j)), []byte("x"), 0o666))
		}
	}
	first, _, err := w.Output(t.Context(), "src")
	must(t, err)
	if n := opened.Swap(0); n != dirs*each {
		t.Errorf("first %d files were read", n)
	}
	w = reopened(t, w)
	must(t, os.Remove(filepath.Join(w.root, Dir, "index")))
	again, _, err := w.Output(t.Context(), "src")
	must(t, err)
	if n := opened.Load(); n != 0 || again != first || again.Files != dirs*each {
		t.Errorf("%d files were read again; %+v, then %+v", n, first, again)
	}
	must(t, w.saveIndex())
	if _, err := os.Lstat(filepath.Join(w.root, Dir, "index")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the index was written again: %v", err)
	}
}

func TestWhatWasJustCheckedOutIsNotReadAgain(t *testing.T) {
	opt, opened := counted(time.Hour)
	w, cache := workspace(t, opt)
	fill(t, w, "out")
	w.write(t, "out/z", "after all, a file")
	saved, err := w.Save(t.Context(), cache, "out")
	must(t, err)
	tree, err := store.ReadTree(t.Context(), cache, saved.Digest)
	must(t, err)
	must(t, os.RemoveAll(w.OS("out")))
	must(t, w.Checkout(t.Context(), cache, saved, tree, nil))
	opened.Store(0)
	if again, _, err := w.Output(t.Context(), "out"); err != nil || again != saved || opened.Load() != 0 {
		t.Errorf("%d files were read: %+v, %v", opened.Load(), again, err)
	}
}

// A file that was written in the tick of the clock in which it was read is read again.
func TestWhatChangedJustBeforeItWasReadIsReadAgain(t *testing.T) {
	opt, opened := counted(0)
	w, _ := workspace(t, opt)
	w.write(t, "d/a", "1")
	w.write(t, "b", "1")
	future := time.Now().Add(time.Hour)
	must(t, os.Chtimes(w.OS("d/a"), future, future))
	must(t, os.Chtimes(w.OS("b"), future, future))
	must(t, os.Chtimes(w.OS("d"), future, future))
	for range 3 {
		_, err := w.File(t.Context(), "b")
		must(t, err)
		_, _, err = w.Output(t.Context(), "d")
		must(t, err)
	}
	if n := opened.Load(); n != 6 {
		t.Errorf("%d of 6 readings", n)
	}
}

// rewrite changes a file's bytes but neither its size nor its modification time,
// until its change time, which only the kernel sets, is another one.
func rewrite(t *testing.T, path, content string) {
	t.Helper()
	past := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	before, _, _ := statindex.Of(path)
	for {
		must(t, os.WriteFile(path, []byte(content), 0o666))
		must(t, os.Chtimes(path, past, past))
		after, _, err := statindex.Of(path)
		must(t, err)
		if after.Ctime != before.Ctime {
			return
		}
	}
}

// A server stamps the files, and its clock is not the machine's.
func TestWhatIsRacyIsJudgedByTheClockThatStampsFiles(t *testing.T) {
	for _, apart := range []time.Duration{-time.Hour, -5 * time.Second, 0, 5 * time.Second, time.Hour} {
		w, _ := workspace(t, Options{machine: func() time.Time { return time.Now().Add(apart) }})
		must(t, w.Prepare())
		before := w.opt.Now()
		w.write(t, "a", "1")
		info, err := os.Stat(w.OS("a"))
		must(t, err)
		if at, tick := info.ModTime().UnixNano(), int64(2e9); at < before-tick || at > w.opt.Now()+tick {
			t.Errorf("a machine that is %s ahead: a file of %d was written after %d", apart, at, before)
		}
		if left, err := os.ReadDir(w.OS(".pipe/tmp")); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	}
	// Without a place to write nothing is kept, and any clock will do.
	w, _ := workspace(t, Options{machine: func() time.Time { return time.Unix(7, 0) }})
	must(t, os.RemoveAll(filepath.Join(w.root, Dir)))
	if w.opt.Now() != 7e9 {
		t.Errorf("now is %d", w.opt.Now())
	}
}

func TestAChangeThatOnlyTheChangeTimeTellsIsSeen(t *testing.T) {
	for _, ahead := range []time.Duration{0, time.Hour} {
		opt, _ := counted(ahead)
		w, _ := workspace(t, opt)
		must(t, os.Mkdir(w.OS("d"), 0o777))
		for _, content := range []string{"1", "2", "3"} {
			rewrite(t, w.OS("d/a"), content)
			e, err := w.File(t.Context(), "d/a")
			must(t, err)
			_, tree, err := w.Output(t.Context(), "d")
			must(t, err)
			if want := digest.Of([]byte(content)); e.Digest != want || tree.Entries[0].Digest != want {
				t.Errorf("%s ahead: change to %s went unseen: file %s, directory %s", ahead, content, e.Digest, tree.Entries[0].Digest)
			}
			w = reopened(t, w)
		}
	}
}

func TestAFileReplacedByRenameIsSeen(t *testing.T) {
	opt, _ := counted(time.Hour)
	w, _ := workspace(t, opt)
	w.write(t, "d/a", "old")
	w.write(t, "new", "new")
	before, _, err := w.Output(t.Context(), "d")
	must(t, err)
	info, err := os.Stat(w.OS("d/a"))
	must(t, err)
	must(t, os.Chtimes(w.OS("new"), info.ModTime(), info.ModTime()))
	must(t, os.Rename(w.OS("new"), w.OS("d/a")))
	if after, _, err := w.Output(t.Context(), "d"); err != nil || after.Digest == before.Digest {
		t.Errorf("the new file went unseen: %v", err)
	}
}

// The bytes that are hashed must be those of one moment.
func TestAFileThatChangesWhileItIsReadOrSavedIsRefused(t *testing.T) {
	changes := 0
	w, cache := workspace(t, Options{reading: func(path string) {
		if changes > 0 {
			changes--
			f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
			if err == nil {
				_, err = f.WriteString("more")
				err = errors.Join(err, f.Close())
			}
			if err != nil {
				panic(err)
			}
		}
	}})
	for name, read := range map[string]func() (digest.Digest, error){
		"hash": func() (digest.Digest, error) { o, _, err := w.Output(t.Context(), "a"); return o.Digest, err },
		"save": func() (digest.Digest, error) { o, err := w.Save(t.Context(), cache, "a"); return o.Digest, err },
	} {
		changes = 1000
		w.write(t, "a", name)
		if d, err := read(); !diag.Is(err, diag.Failed) || !strings.Contains(err.Error(), "being written to") {
			t.Errorf("%s: %s, %v", name, d, err)
		}
		changes = 1
		w.write(t, "a", name)
		if d, err := read(); err != nil || d != digest.Of([]byte(name+"more")) {
			t.Errorf("%s of a file that changed once: %s, %v", name, d, err)
		}
	}
}

// Others may be reading the record at the same time.
func TestARecordOfTheIndexIsNotChangedInPlace(t *testing.T) {
	opt, _ := counted(time.Hour)
	w, _ := workspace(t, opt)
	must(t, os.Mkdir(w.OS("d"), 0o777))
	rewrite(t, w.OS("d/a"), "1")
	_, _, err := w.Output(t.Context(), "d")
	must(t, err)
	shared := w.index.Dir("d")
	before := shared.Clone()
	rewrite(t, w.OS("d/a"), "2")
	_, _, err = w.Output(t.Context(), "d")
	must(t, err)
	if !reflect.DeepEqual(shared, before) {
		t.Errorf("%+v became %+v", before, shared)
	}
	if now := w.index.Dir("d"); now == shared || now.Find("a").File.Digest != digest.Of([]byte("2")) {
		t.Errorf("the index did not learn: %+v", now)
	}
}

// failing is a view that fails at one step.
type failing struct {
	enter, sees, link error
	unlinked          bool // its links do not count
}

func (v failing) Enter(repopath.Path, *ignore.Rules, func(string) bool) (*ignore.Rules, error) {
	return nil, v.enter
}
func (v failing) Sees(repopath.Path, statindex.Kind) (bool, error) { return true, v.sees }
func (v failing) Link(context.Context, repopath.Path, string) (object.Entry, bool, error) {
	return object.Link("a"), !v.unlinked, v.link
}

func TestAScanFailsWithItsView(t *testing.T) {
	w, _ := workspace(t)
	w.link(t, "d/l", "a")
	bad := errors.New("bad")
	for _, v := range []failing{{enter: bad}, {sees: bad}, {link: bad}} {
		if tree, err := w.Scan(t.Context(), "d", v); !errors.Is(err, bad) || tree != nil {
			t.Errorf("%+v: %v, %v", v, tree, err)
		}
	}
	for unlinked, want := range map[bool]int{true: 0, false: 1} {
		if tree, err := w.Scan(t.Context(), "d", failing{unlinked: unlinked}); err != nil || len(tree.Entries) != want {
			t.Errorf("left out: %v: %v, %v", unlinked, tree, err)
		}
	}
}

// ruled is a view that ignores what a pattern names.
type ruled struct {
	failing
	pattern string
}

func (v ruled) Enter(p repopath.Path, above *ignore.Rules, _ func(string) bool) (*ignore.Rules, error) {
	if above == nil {
		return ignore.NoRepoRules().Enter("", [][]byte{[]byte(v.pattern)}), nil
	}
	return above.Enter(p.Base(), nil), nil
}

func TestAScanLeavesOutWhatItsViewIgnores(t *testing.T) {
	w, _ := workspace(t)
	for _, p := range []repopath.Path{"d/gen/a", "d/sub/gen", "d/b.log", "d/c"} {
		w.write(t, p, "1")
	}
	for pattern, want := range map[string][]string{
		"gen/\n": {"f b.log", "f c", "f sub/gen"}, "gen\n": {"f b.log", "f c"}, "*.log\n": {"f c", "f gen/a", "f sub/gen"},
	} {
		for range 2 { // the second time the index knows what was ignored
			tree, err := w.Scan(t.Context(), "d", ruled{pattern: pattern})
			if must(t, err); !reflect.DeepEqual(names(tree), want) {
				t.Errorf("%q: %q, want %q", pattern, names(tree), want)
			}
		}
	}
}

func TestWhatCannotBeLookedAtIsNeitherAbsentNorThere(t *testing.T) {
	w, _ := workspace(t)
	long := repopath.Path(strings.Repeat("x", 300))
	for p, want := range map[repopath.Path]error{"none": ErrAbsent, long: syscall.ENAMETOOLONG} {
		_, kind := w.Kind(p)
		_, file := w.File(t.Context(), p)
		_, _, output := w.Output(t.Context(), p)
		_, scan := w.Scan(t.Context(), p, failing{})
		for what, err := range map[string]error{"kind": kind, "file": file, "output": output, "scan": scan} {
			if !errors.Is(err, want) {
				t.Errorf("%s of %.9s: %v, want %v", what, p, err, want)
			}
		}
	}
	w.write(t, "d/a", "1")
	if _, err := w.File(t.Context(), "d"); err == nil || errors.Is(err, ErrAbsent) {
		t.Errorf("a directory as a file: %v", err)
	}
}

func TestANameThatIsTakenUnseenIsOneThatATreeTakes(t *testing.T) {
	for _, name := range []string{".git", ".GIT", "git~1", "GIT~2", "..", `a\b`, "\x1f", "\x7f", "\u00e9", "a", "go.mod", ".gitignore", "grün"} {
		if _, err := repopath.ParseEntry(name); err != nil && cleanName(name) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// A disk that fails has not lost its files.
func TestOnlyWhatIsNotThereIsAbsent(t *testing.T) {
	for _, c := range []struct {
		err  error
		want error
	}{{syscall.EIO, syscall.EIO}, {syscall.EACCES, syscall.EACCES}, {syscall.ESTALE, syscall.ESTALE}, {syscall.ENOENT, nil}, {syscall.ENOTDIR, nil}} {
		w, cache := workspace(t, Options{lstat: func(d *statindex.Directory, name string) (statindex.Stat, statindex.Kind, error) {
			if name == "bad" {
				return statindex.Stat{}, 0, &fs.PathError{Op: "lstat", Path: name, Err: c.err}
			}
			return d.Lstat(name)
		}})
		w.write(t, "out/good", "1")
		w.write(t, "out/bad", "1")
		o, err := w.Save(t.Context(), cache, "out")
		if !errors.Is(err, c.want) || errors.Is(err, ErrAbsent) || err == nil && o.Files != 1 {
			t.Errorf("%v: %+v, %v", c.err, o, err)
		}
	}
}

func TestOnlyTheOwnersBitMakesAFileExecutable(t *testing.T) {
	w, _ := workspace(t)
	for mode, want := range map[os.FileMode]object.Kind{0o644: object.File, 0o755: object.Executable, 0o655: object.File, 0o744: object.Executable} {
		w.write(t, "d/a", "1")
		must(t, os.Chmod(w.OS("d/a"), mode))
		e, err := w.File(t.Context(), "d/a")
		must(t, err)
		_, tree, err := w.Output(t.Context(), "d")
		must(t, err)
		if e.Kind != want || tree.Entries[0].Kind != want {
			t.Errorf("%o: file %c, in a directory %c", mode, e.Kind, tree.Entries[0].Kind)
		}
	}
}

// Where core.fileMode is false the disk's bits say nothing.
func TestGitsWordOnExecutableFilesGoesBeforeTheDisks(t *testing.T) {
	opt := Options{Exec: func(p repopath.Path) (bool, bool) { return p == "d/run", p != "d/unknown" }}
	w, _ := workspace(t, opt)
	for _, p := range []repopath.Path{"d/run", "d/text", "d/unknown"} {
		w.write(t, p, string(p))
	}
	must(t, os.Chmod(w.OS("d/text"), 0o777))
	must(t, os.Chmod(w.OS("d/unknown"), 0o777))
	for range 2 { // by reading, then by the index
		_, tree, err := w.Output(t.Context(), "d")
		must(t, err)
		if got := names(tree); !reflect.DeepEqual(got, []string{"x run", "f text", "x unknown"}) {
			t.Errorf("%q", got)
		}
		e, err := w.File(t.Context(), "d/run")
		if err != nil || e.Kind != object.Executable {
			t.Errorf("%+v, %v", e, err)
		}
		w.opt.Now = func() int64 { return time.Now().Add(time.Hour).UnixNano() }
	}
}

func TestACancelledScanStops(t *testing.T) {
	w, _ := workspace(t)
	w.write(t, "src/a", "1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := w.Output(ctx, "src"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
