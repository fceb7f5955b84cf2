package runlog

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/digest"
)

var noon = time.Date(2026, 11, 30, 12, 0, 0, 123456000, time.UTC)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T) (*Dir, string) {
	t.Helper()
	root := t.TempDir()
	w, err := worktree.Open(root, worktree.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, w.Close()) })
	return &Dir{Work: w, Now: func() time.Time { return noon }}, filepath.Join(root, worktree.Dir, worktree.Runs)
}

func example(stage string, at time.Time) Run {
	return Run{Stage: stage, Kind: "build", Status: OK, Key: digest.Key(digest.Of([]byte("key"))), By: "ann@desk", At: at, Seconds: 1.5}
}

func (d *Dir) list(t *testing.T, stage string) []string {
	t.Helper()
	names, err := d.List(stage)
	must(t, err)
	return names
}

func (d *Dir) text(t *testing.T, name string) string {
	t.Helper()
	b, err := d.Text(name)
	must(t, err)
	return string(b)
}

func TestARunIsReadAsItWasWritten(t *testing.T) {
	d, dir := open(t)
	r := example("build", noon)
	w := d.Begin(r)
	w.Line("one")
	names := d.list(t, "build")
	if got := d.Read(names[0]); got.Status != Running || got.By != r.By || d.text(t, names[0]) != "one\n" {
		t.Errorf("while it runs: %+v", got)
	}
	w.Line("two")
	r.Status, r.Exit, r.Error = Failed, 3, "exit code 3"
	w.End(r)
	if got := d.Read(names[0]); got != r || d.text(t, names[0]) != "one\ntwo\n" {
		t.Errorf("%+v\nwant %+v", got, r)
	}
	if files, _ := os.ReadDir(dir); len(files) != 2 || files[0].Name() != "20261130T120000.123456Z-build.json" || files[1].Name() != "20261130T120000.123456Z-build.log" {
		t.Errorf("%v", files)
	}
}

// The machine of the run stops: nobody ends it, and nobody holds the lock.
func TestAKilledRunLeavesWhatWasPrinted(t *testing.T) {
	d, _ := open(t)
	w := d.Begin(example("build", noon))
	w.Line("last words")
	must(t, w.lock.Release())
	name := d.list(t, "")[0]
	if got := d.Read(name); got.Status != Killed || got.By != "ann@desk" || d.text(t, name) != "last words\n" {
		t.Errorf("%+v, %q", got, d.text(t, name))
	}
}

// A power cut may cost the one file, and a kill comes before it is there.
func TestTheNameAloneTellsStageAndTime(t *testing.T) {
	d, dir := open(t)
	must(t, os.MkdirAll(dir, 0o777))
	for _, head := range []string{"", "{", `{"schema":"pipe.run/1","stage":"other","status":"ok"}`} {
		must(t, os.WriteFile(filepath.Join(dir, "20261130T120000.123456Z-a.b-c.log"), []byte("x\n"), 0o666))
		must(t, os.WriteFile(filepath.Join(dir, "20261130T120000.123456Z-a.b-c.json"), []byte(head), 0o666))
		names := d.list(t, "a.b-c")
		if got := d.Read(names[0]); got.Stage != "a.b-c" || !got.At.Equal(noon) || got.Status != Killed {
			t.Errorf("%q: %+v", head, got)
		}
	}
}

func TestRunsAreListedFromTheNewest(t *testing.T) {
	d, dir := open(t)
	if names := d.list(t, ""); names != nil {
		t.Errorf("at first: %q", names)
	}
	for i, stage := range []string{"a", "b", "a", "a"} {
		w := d.Begin(example(stage, noon.Add(time.Duration(min(i, 2))*time.Second))) // the last two begin at once
		w.End(example(stage, noon))
	}
	must(t, os.WriteFile(filepath.Join(dir, "notes.log"), nil, 0o666))
	var got []string
	for _, n := range d.list(t, "") {
		got = append(got, strings.TrimPrefix(n, "20261130T1200"))
	}
	if want := []string{"02.123457Z-a", "02.123456Z-a", "01.123456Z-b", "00.123456Z-a"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if n := len(d.list(t, "a")); n != 3 {
		t.Errorf("%d runs of a", n)
	}
	if n := len(d.list(t, "c")); n != 0 {
		t.Errorf("%d runs of c", n)
	}
}

func TestOldRunsGoWhenOneBegins(t *testing.T) {
	d, dir := open(t)
	now := noon
	d.Now = func() time.Time { return now }
	for _, days := range []int{31, 29} {
		w := d.Begin(example("a", noon.AddDate(0, 0, -days)))
		w.End(example("a", noon))
	}
	if n := len(d.list(t, "a")); n != 2 {
		t.Fatalf("%d runs: they are removed when a process begins its first one", n)
	}
	must(t, os.WriteFile(filepath.Join(dir, "mine"), nil, 0o666))
	next := &Dir{Work: d.Work, Now: d.Now}
	next.Begin(example("a", noon)).End(example("a", noon))
	files, err := os.ReadDir(dir)
	must(t, err)
	if names := d.list(t, "a"); len(files) != 5 || len(names) != 2 || d.Read(names[1]).At.Day() != 1 {
		t.Errorf("%v", files)
	}
}

// What a name may be in a later version must not lead elsewhere, or be too long.
func TestAnyNameOfAStageIsPartOfAName(t *testing.T) {
	d, dir := open(t)
	for _, stage := range []string{"../../up", "a/b", `c:\d`, "ä", strings.Repeat("x", 255)} {
		w := d.Begin(example(stage, noon))
		w.End(example(stage, noon))
		names := d.list(t, stage)
		if len(names) != 1 || d.Read(names[0]).Stage != stage {
			t.Errorf("%s: %q", stage, names)
		}
	}
	if files, _ := os.ReadDir(dir); len(files) != 10 {
		t.Errorf("%v", files)
	}
}

func TestAReplacedLogIsTheWhole(t *testing.T) {
	d, _ := open(t)
	w := d.Begin(example("a", noon))
	w.Line("much that is dropped")
	w.Replace([]byte("little\n"))
	w.Line("more")
	w.End(example("a", noon))
	if got := d.text(t, d.list(t, "")[0]); got != "little\nmore\n" {
		t.Errorf("%q", got)
	}
}

// Whatever is in the way, who begins a run goes on without a log.
func TestWhereNothingCanBeWrittenNothingIsKept(t *testing.T) {
	for what, spoil := range map[string]func(dir string) error{
		"a file":    func(dir string) error { return os.WriteFile(dir, nil, 0o666) },
		"a symlink": func(dir string) error { return os.Symlink(t.TempDir(), dir) },
	} {
		d, dir := open(t)
		must(t, os.MkdirAll(filepath.Dir(dir), 0o777))
		must(t, spoil(dir))
		w := d.Begin(example("a", noon))
		if w != nil {
			t.Errorf("%s: a log was begun", what)
		}
		w.Line("x")
		w.Replace(nil)
		w.End(example("a", noon))
	}
	var none *Dir
	none.Begin(example("a", noon)).End(example("a", noon))
}

// A full disk: what is there stays, what comes later would follow a gap, and the run says so.
func TestALogThatCannotBeWrittenOnIsIncomplete(t *testing.T) {
	d, _ := open(t)
	w := d.Begin(example("a", noon))
	w.Line("one")
	name := d.list(t, "")[0]
	whole := w.f
	var err error
	w.f, err = os.Open(os.DevNull) // takes no writes
	must(t, err)
	w.Line("two")
	w.f = whole
	w.Line("three")
	w.Replace([]byte("x"))
	w.End(example("a", noon))
	if got := d.Read(name); !got.Incomplete || got.Status != OK || d.text(t, name) != "one\n" {
		t.Errorf("%+v, %q", got, d.text(t, name))
	}
}
