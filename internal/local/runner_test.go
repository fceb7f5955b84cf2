//go:build !windows

package local_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/shell"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/transfer"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/repopath"
)

func TestARunSavesTheOutsInTheirOrder(t *testing.T) {
	p := open(t, `
  a:
    cmd: |
      printf plain > z; printf run > out/x; chmod +x out/x; mkdir -p dir/sub; printf 1 > dir/sub/f; printf kept > kept
    outs: [z, out/x, dir/, {path: kept, cache: false}]
`)
	made := p.runs(p.job("a"))
	var got []string
	for _, o := range made.Outs {
		got = append(got, string(o.Path))
		if want := o.Path != "kept"; p.has(object.Of(o)) != want {
			t.Errorf("%s: in the cache is %v", o.Path, !want)
		}
	}
	if strings.Join(got, " ") != "dir kept out/x z" {
		t.Errorf("outs: %s", got)
	}
	dir, kept, exec, plain := made.Outs[0], made.Outs[1], made.Outs[2], made.Outs[3]
	if !dir.Dir || dir.Files != 1 || dir.Size != 1 || !exec.Exec || plain.Exec || plain.Size != 5 || plain.Digest != digest.Of([]byte("plain")) || kept.Digest != digest.Of([]byte("kept")) {
		t.Errorf("%+v", made.Outs)
	}
	if p.left() != "" || len(p.notes) > 0 {
		t.Errorf("left %s, notes %q", p.left(), p.notes)
	}
}

func TestACommandDoesNotSeeOldOuts(t *testing.T) {
	p := open(t, "  a: {cmd: 'test ! -e out; printf new > out', outs: [out]}\n")
	p.write("out", "old")
	made, err := p.Run(t.Context(), p.job("a"))
	must(t, err)
	if p.read("out") != "new" || p.left() == "" || !p.has(object.Ref{Digest: digest.Of([]byte("old"))}) {
		t.Errorf("out holds %q, left %q", p.read("out"), p.left())
	}
	if len(p.notes) != 1 || !strings.Contains(p.notes[0], "a: out was edited") {
		t.Errorf("notes %q", p.notes)
	}
	must(t, made.Settle(true))
	if p.read("out") != "new" || p.left() != "" {
		t.Errorf("recorded: out holds %q, left %q", p.read("out"), p.left())
	}
	j := p.job("a")
	j.Recorded = made.Outs
	made, err = p.Run(t.Context(), j)
	must(t, err)
	p.write("out", "newer")
	must(t, made.Settle(false))
	if p.read("out") != "new" || p.read(".pipe/partial/a/out") != "newer" || len(p.notes) != 2 || !strings.Contains(p.notes[1], ".pipe/partial/a/out") {
		t.Errorf("not recorded: out holds %q, notes %q", p.read("out"), p.notes)
	}
}

// After each way in which a run can fail, the old outs are back, and what the
// command left in their places is named.
func TestAfterAFailureTheOldOutsAreBack(t *testing.T) {
	const partial = "mkdir -p dir; printf half > dir/x; printf half > out; "
	for _, c := range []struct {
		name, end string
		more      string
		want      func(err error) bool
	}{
		{"failure", "exit 3", "", func(err error) bool {
			var exit *shell.ExitError
			return errors.As(err, &exit) && exit.Code == 3
		}},
		{"timeout", "exec sleep 60", "timeout: 20ms, ", func(err error) bool { return errors.Is(err, action.ErrTimeout) }},
		{"cancel", "echo now; exec sleep 60", "", func(err error) bool { return errors.Is(err, os.ErrClosed) }},
		{"an input that changes", "printf changed > src", "", func(err error) bool { return strings.Contains(err.Error(), "src changed while the command ran") }},
		{"an out that is not made", "rm -r dir", "", func(err error) bool { return strings.Contains(err.Error(), "did not create dir") }},
	} {
		p := open(t, "  a: {cmd: '"+partial+c.end+"', "+c.more+"deps: [src], outs: [out, dir/, new]}\n", "src", "out", "dir/x", "dir/y")
		ctx, cancel := context.WithCancelCause(t.Context())
		j := p.job("a")
		j.Line = func([]byte) { cancel(os.ErrClosed) }
		_, err := p.Run(ctx, j)
		if err == nil || !c.want(err) {
			t.Errorf("%s: %v", c.name, err)
		}
		if p.read("out") != "out" || p.read("dir/x") != "dir/x" || p.read("dir/y") != "dir/y" || p.read("new") != "-" {
			t.Errorf("%s: out %q, dir/x %q, dir/y %q", c.name, p.read("out"), p.read("dir/x"), p.read("dir/y"))
		}
		if c.name == "timeout" {
			continue // it may end the command before it wrote anything
		}
		if p.read(".pipe/partial/a/out") != "half" || !slices.Contains(p.notes, "a: the partial outputs of the failed run are in "+filepath.Join(".pipe", "partial", "a", "out")) {
			t.Errorf("%s: partial %q, notes %q", c.name, p.read(".pipe/partial/a/out"), p.notes)
		}
		if p.left() != ".pipe/partial/a" {
			t.Errorf("%s: left %s", c.name, p.left())
		}
	}
}

func TestAPersistentOutIsGoneOnFrom(t *testing.T) {
	p := open(t, "  a: {cmd: 'cat src >> log', deps: [src], outs: [{path: log, persist: true}, out]}\n", "src")
	p.project.Stage("a").Cmd[0] += "; touch out"
	p.runs(p.job("a"))
	p.runs(p.job("a"))
	if p.read("log") != "srcsrc" {
		t.Errorf("log holds %q", p.read("log"))
	}
	p.project.Stage("a").Cmd[0] += "; exit 1"
	if _, err := p.Run(t.Context(), p.job("a")); err == nil || p.read("log") != "srcsrc" || p.read(".pipe/partial/a/log") != "srcsrcsrc" {
		t.Errorf("%v; log holds %q", err, p.read("log"))
	}
}

// A damaged copy in the cache is replaced when the workspace's is kept.
func TestAPersistentOutReplacesADamagedCopy(t *testing.T) {
	p := open(t, "  a: {cmd: 'cat src >> log', outs: [{path: log, persist: true}]}\n", "src")
	p.damage(object.Of(p.saved("log", "precious")))
	p.write("log", "precious")
	if p.runs(p.job("a")); p.read("log") != "precioussrc" {
		t.Errorf("log holds %q", p.read("log"))
	}
}

// unfilled is a cache that gives no bytes out.
type unfilled struct{ store.Cache }

// Fill implements store.Cache.
func (unfilled) Fill(context.Context, object.Ref, *os.File) error { return store.ErrCorrupt }

func TestAPersistentOutThatCannotBeCopiedIsPutBack(t *testing.T) {
	p := open(t, "  a: {cmd: 'echo x >> log', outs: [{path: log, persist: true}, out]}\n", "out")
	p.write("log", "precious")
	p.Cache = unfilled{p.Cache}
	_, err := p.Run(t.Context(), p.job("a"))
	if !errors.Is(err, store.ErrCorrupt) || p.read("log") != "precious" || p.read("out") != "out" || p.left() != "" {
		t.Errorf("%v; log %q, out %q, left %s", err, p.read("log"), p.read("out"), p.left())
	}
}

func TestOutsThatGitTracksAreNotOverwritten(t *testing.T) {
	const yaml = "  a: {cmd: 'touch out kept', outs: [out, {path: kept, cache: false}]}\n  b: {cmd: touch x, outs: [{path: x, cache: false}]}\n"
	p := open(t, yaml, "out", "kept")
	var asked []repopath.Path
	tracked, failure := []repopath.Path(nil), error(nil)
	p.Tracked = func(_ context.Context, paths []repopath.Path) ([]repopath.Path, error) {
		asked = append(asked, paths...)
		return tracked, failure
	}
	p.runs(p.job("a"))
	p.runs(p.job("b"))
	if !slices.Equal(asked, []repopath.Path{"out"}) {
		t.Errorf("asked for %v", asked)
	}
	tracked = []repopath.Path{"out"}
	p.write("out", "precious")
	_, err := p.Run(t.Context(), p.job("a"))
	if !diag.Is(err, diag.Policy) || !strings.Contains(err.Error(), "a: git tracks the output out") || p.read("out") != "precious" || p.left() != "" {
		t.Errorf("%v; out holds %q", err, p.read("out"))
	}
	tracked, failure = nil, os.ErrPermission
	if _, err := p.Run(t.Context(), p.job("a")); !errors.Is(err, os.ErrPermission) {
		t.Errorf("%v", err)
	}
}

func TestWhatAnotherStageMadeIsPutThereFirst(t *testing.T) {
	p := open(t, "  a: {cmd: 'cp lib/x out', outs: [out]}\n")
	lib, tool := p.published(p.saved("lib/x", "built")), p.saved("tool", "t")
	must(t, p.cache.Remove(t.Context(), object.Of(lib)))
	p.runs(p.job("a", lib, tool))
	if p.read("out") != "built" || p.read("tool") != "t" {
		t.Errorf("out holds %q, tool %q", p.read("out"), p.read("tool"))
	}
	lost := lib
	lost.Path, lost.Digest = "lost", digest.Of([]byte("lost"))
	_, err := p.Run(t.Context(), p.job("a", lib, lost))
	if !errors.As(err, new(*transfer.Missing)) || p.read("out") != "built" || p.left() != "" {
		t.Errorf("%v; out holds %q", err, p.read("out"))
	}
}

// changing runs a command in a project of sources, params and something made.
func changing(t *testing.T, cmd string) error {
	t.Helper()
	p := open(t, `
  a: {cmd: x, deps: [src/sub, "*.c", tool], params: [{p.yaml: [k]}], outs: [out]}
  m: {cmd: x, outs: [made]}
`, "src/sub/1", "src/sub/2", "x.c", "tool")
	p.write("p.yaml", "k: 1\nother: 1\n")
	made := p.saved("made", "m")
	p.project.Stage("a").Cmd = []string{"printf . > out\n" + cmd}
	made1, err := p.Run(t.Context(), p.job("a", made))
	if err == nil {
		must(t, made1.Settle(true))
	}
	return err
}

func TestAnInputThatChangesMeanwhileIsNoticed(t *testing.T) {
	for cmd, want := range map[string]string{
		"echo x >> src/sub/1": "a: src/sub",
		"rm src/sub/1":        "src/sub",
		"rm -r src":           "src/sub",
		"touch src/sub/3":     "src/sub",
		"echo x > y.c":        "*.c",
		"chmod +x tool":       "tool",
		"rm tool":             "tool",
		"chmod +x made":       "made",
		"echo x > made":       "made",
		"rm made":             "made",
		"echo k: 2 > p.yaml":  "params",
		"rm p.yaml":           "params",
		"echo '{' > p.yaml":   "params",
		// An ignore file that was read before the command is read again.
		"echo 1 > src/.pipeignore":    "src/sub",
		"rm tool made; echo x >> x.c": "*.c, tool, made",
	} {
		err := changing(t, cmd)
		if !diag.Is(err, diag.Stage) || !strings.Contains(err.Error(), want+" changed while the command ran") {
			t.Errorf("%s: %v", cmd, err)
		}
	}
	for _, cmd := range []string{"true", "touch src/sub/1", "echo x > new", "printf 'k: 1\nother: 2\n' > p.yaml", "chmod u-w tool"} {
		must(t, changing(t, cmd))
	}
}

func TestWhatACommandDidNotMakeIsNamed(t *testing.T) {
	for yaml, want := range map[string]string{
		"cmd: 'true', outs: [out]":                                "a: the command succeeded but did not create out",
		"cmd: touch out, outs: [out/]":                            "a: the output out/ is a file, not a directory",
		"cmd: mkdir out, outs: [{path: out, sha256: true}]":       "sha256 needs a file, but output out is a directory",
		"cmd: mkfifo out, outs: [out]":                            "is a named pipe",
		"cmd: 'true', outs: [{path: out, sha256: true}]":          "a: the command succeeded but did not create out",
		"cmd: 'true', wdir: file, outs: [../out]":                 "a: the working directory file is not a directory",
		"cmd: 'true', outs: [out, {path: kept, cache: false}]":    "did not create kept",
		"cmd: touch kept, outs: [{path: kept/, cache: false}]":    "kept/ is a file",
		"cmd: touch ../x, wdir: there, outs: [none, {path: out}]": "did not create there/none",
	} {
		p := open(t, "  a: {"+yaml+"}\n", "file", "there/x")
		_, err := p.Run(t.Context(), p.job("a"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", yaml, err)
		}
	}
}

func TestSHA256OfAnOut(t *testing.T) {
	p := open(t, "  a: {cmd: 'printf abc > out; printf abc > kept; printf abc > other', outs: [{path: out, sha256: true}, {path: kept, cache: false, sha256: true}, other]}\n")
	const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" // FIPS 180-2, B.1
	got := map[repopath.Path]string{}
	for _, o := range p.runs(p.job("a")).Outs {
		got[o.Path] = o.SHA256
	}
	if got["out"] != abc || got["kept"] != abc || got["other"] != "" {
		t.Errorf("%v", got)
	}
}

func TestAFileThatSomethingStillWritesGetsNoSHA256(t *testing.T) {
	p := open(t, "  a: {cmd: 'printf abc > out', outs: [{path: out, sha256: true}]}\n")
	p.hook(nil, func() error {
		p.write("out", "abd")
		return nil
	})
	_, err := p.Run(t.Context(), p.job("a"))
	if err == nil || !strings.Contains(err.Error(), "out: is being written to while pipe saves it") || p.read("out") != "-" {
		t.Errorf("%v; out holds %q", err, p.read("out"))
	}
}

func TestScriptsRunInOrderUntilOneFails(t *testing.T) {
	p := open(t, "  a: {cmd: ['echo 1; echo 2 >&2', 'echo 3; exit 4', 'echo 5'], outs: [out]}\n")
	now := time.Unix(0, 0)
	p.Now = func() time.Time { now = now.Add(3 * time.Second); return now }
	_, err := p.Run(t.Context(), p.job("a"))
	var exit *shell.ExitError
	if !errors.As(err, &exit) || exit.Code != 4 || strings.Join(p.printed, " ") != "1 2 3" {
		t.Errorf("%v; printed %q", err, p.printed)
	}
	p.project.Stage("a").Cmd = []string{"touch out", "true"}
	if made := p.runs(p.job("a")); made.Seconds != 3 {
		t.Errorf("it took %v seconds", made.Seconds)
	}
}

func TestTheLocksNoteNamesTheCommandsThatRun(t *testing.T) {
	p := open(t, "  a: {cmd: 'until grep -q \"\\\"a\\\":$$\" .pipe/lock; do sleep 0.01; done; touch out', outs: [out]}\n")
	p.hold()
	p.runs(p.job("a"))
	if note := p.read(".pipe/lock"); note != fmt.Sprintf("{\"pid\":%d,\"command\":\"test\"}\n", os.Getpid()) {
		t.Errorf("afterwards: %s", note)
	}
}

func TestACommandSeesItsEnvironmentAndPlace(t *testing.T) {
	p := open(t, "  a: {cmd: '[[ $A = 1 ]]; pwd; echo $PIPE_ROOT; [[ /dev/fd/3 -ef $PIPE_ROOT/.pipe/lock ]]; echo held; touch out', shell: bash, wdir: sub, outs: [out]}\n", "sub/x")
	p.hold()
	j := p.job("a")
	j.Env = append(slices.Clip(j.Env), "A=1")
	env := slices.Clone(j.Env)
	p.runs(j)
	root, err := filepath.EvalSymlinks(p.Work.Root())
	must(t, err)
	if !slices.Equal(p.printed, []string{filepath.Join(root, "sub"), p.Work.Root(), "held"}) {
		t.Errorf("printed %q", p.printed)
	}
	if !slices.Equal(j.Env, env) {
		t.Error("the job was changed")
	}
}
