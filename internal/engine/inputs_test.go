package engine_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/engine"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/event"
)

// listed returns a tree as "kind path" lines.
func listed(tree *object.Tree) string {
	var all []string
	for _, e := range tree.Entries {
		all = append(all, string(rune(e.Kind))+" "+string(e.Path))
	}
	return strings.Join(all, ", ")
}

func made(outs []artifact.Output) string {
	var all []string
	for _, o := range outs {
		all = append(all, string(o.Path))
	}
	return strings.Join(all, " ")
}

func TestAJobListsEveryInput(t *testing.T) {
	p := open(t, `
stages:
  a: {cmd: a, deps: [one], outs: [gen/dir/, gen/file]}
  b:
    cmd: b
    deps: [src, "!src/skip", "lib/*.c", run.sh, gen, gen/dir/x]
    params: [{values.yaml: [k]}]
    outs: [out/b]
`, "one", "src/1", "src/skip", "src/sub/2", "lib/x.c", "lib/x.h", "run.sh")
	p.write("values.yaml", "k: 1\n")
	p.repro("a:run b:run", all)
	job := p.job("b")
	if got, want := listed(job.Inputs), "t gen/dir, f gen/file, f lib/x.c, f run.sh, f src/1, f src/sub/2"; got != want {
		t.Errorf("inputs\n%s, want\n%s", got, want)
	}
	if e, _ := job.Inputs.Find("gen/dir"); e.Digest != p.locked("a").Outs[0].Digest || e.Size != 0 {
		t.Errorf("gen/dir is %+v", e)
	}
	if e, _ := job.Inputs.Find("gen/file"); e.Digest != p.locked("a").Outs[1].Digest || e.Size != p.locked("a").Outs[1].Size {
		t.Errorf("gen/file is %+v", e)
	}
	if e, _ := job.Inputs.Find("src/1"); e.Digest != digest.Of([]byte("src/1")) || e.Size != 5 {
		t.Errorf("src/1 is %+v", e)
	}
	if made(job.Made) != "gen/dir gen/file" {
		t.Errorf("made: %s", made(job.Made))
	}
	var reads []string
	for _, r := range job.Reads {
		reads = append(reads, r.Dep.String()+" "+made(r.Inside))
		if r.Was.Digest.IsZero() {
			t.Errorf("%s: nobody knows what it was", r.Dep)
		}
	}
	if got, want := strings.Join(reads, ", "), "gen gen/dir gen/file, lib/*.c , run.sh , src "; got != want {
		t.Errorf("reads %q, want %q", got, want)
	}
	if len(job.Params) != 1 || job.Params[0].Key != "k" || job.Fresh || job.Recorded != nil {
		t.Errorf("params %v, fresh %v, recorded %v", job.Params, job.Fresh, job.Recorded)
	}
	lists := map[string]string{"gen": "t dir, f file", "lib/*.c": "f lib/x.c", "src": "f 1, f sub/2"}
	for path, tree := range p.outcome("b").Trees {
		if listed(tree) != lists[string(path)] {
			t.Errorf("the list of %s is %s", path, listed(tree))
		}
		delete(lists, string(path))
	}
	sorted := func(a, b digest.Digest) int { return strings.Compare(a.Hex(), b.Hex()) }
	if in := p.record(p.cache, p.id("b")).Inputs; len(lists) > 0 || len(in) != 3 || !slices.IsSortedFunc(in, sorted) {
		t.Errorf("without a list: %v; recorded %v", lists, in)
	}
	p.write("src/1", "changed")
	p.repro("a:skip b:run", all)
	if got := p.job("b").Recorded; len(got) != 1 || got[0].Path != "out/b" {
		t.Errorf("recorded: %v", got)
	}
}

func TestOutsThatAreLeftOutOfADirectoryAreNotRead(t *testing.T) {
	p := open(t, `
stages:
  a: {cmd: a, deps: [top, "!top/a", "!top/b"], outs: [top/a]}
  b: {cmd: b, deps: [src], outs: [top/b]}
`, "src", "top/x")
	p.repro("a:run b:run", all)
	if job := p.job("a"); listed(job.Inputs) != "f top/x" || len(job.Made) > 0 {
		t.Errorf("inputs %s, made %v", listed(job.Inputs), job.Made)
	}
	p.repro("a:skip b:skip", all)
}

func TestADepMayLieInsideADirectoryThatAStageMakes(t *testing.T) {
	p := open(t, `
stages:
  a: {cmd: a, deps: [src], outs: [dir/]}
  f: {cmd: x, deps: [dir/x], outs: [out/f]}
  g: {cmd: x, deps: ["dir/*/*"], outs: [out/g]}
  s: {cmd: x, deps: [dir/sub], outs: [out/s]}
`, "src")
	p.repro("a:run f:run g:run s:run", all)
	tree := p.out("a")
	for stage, want := range map[string]artifact.Input{
		"f": {Path: "dir/x", Exec: true, In: tree.Digest},
		"g": {Path: "dir/*/*", Kind: artifact.Glob, Files: 1, In: tree.Digest},
		"s": {Path: "dir/sub", Kind: artifact.Dir, Files: 1, In: tree.Digest},
	} {
		got := p.locked(stage).Deps[0]
		if got.Digest.IsZero() || got.Size == 0 {
			t.Errorf("%s: %+v", stage, got)
		}
		want.Digest, want.Size = got.Digest, got.Size
		if got != want {
			t.Errorf("%s: %+v, want %+v", stage, got, want)
		}
		if made(p.job(stage).Made) != "dir" || len(p.job(stage).Reads) > 0 {
			t.Errorf("%s: made %s, reads %v", stage, made(p.job(stage).Made), p.job(stage).Reads)
		}
	}
	// A glob's list names its files as one of sources does.
	listing, err := store.ReadTree(t.Context(), p.cache, tree.Digest)
	must(t, err)
	y, _ := listing.Find("sub/y")
	y.Path = "dir/sub/y"
	if want := (&object.Tree{Entries: []object.Entry{y}}).Digest(); p.locked("g").Deps[0].Digest != want {
		t.Errorf("g reads %v", p.locked("g").Deps[0])
	}
	// What was looked up once stands as long as the tree does, though the tree is gone.
	p.loses(tree)
	p.repro("a:skip f:skip g:skip s:skip", all)
}

func TestWhatIsNotInAMadeDirectoryIsNamed(t *testing.T) {
	for dep, want := range map[string]string{"dir/none": "dependency dir/none does not exist in output dir", "dir/*.c": "dependency dir/*.c matches no file in output dir"} {
		p := open(t, "stages:\n  a: {cmd: a, deps: [src], outs: [dir/]}\n  b: {cmd: b, deps: [\""+dep+"\"], outs: [out/b]}\n", "src")
		_, _, err := p.run(all)
		if !diag.Is(err, diag.Usage) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "pipe.yaml:3:") {
			t.Errorf("%v", err)
		}
	}
}

func TestAllMissingDepsAreNamedAtOnce(t *testing.T) {
	p := open(t, "stages:\n  a: {cmd: a, deps: [none, src, nothing], outs: [out/a]}\n", "src")
	_, _, err := p.run(all)
	if len(diag.All(err)) != 2 || !strings.Contains(err.Error(), "dependency none does") || !strings.Contains(err.Error(), "dependency nothing does") {
		t.Errorf("%v", err)
	}
}

func TestAGlobTakesInOutputsThatAreFilesAlone(t *testing.T) {
	const yaml = "stages:\n  a: {cmd: a, deps: [src], outs: [gen/a, gen/d/]}\n  b: {cmd: b, deps: [\"gen/**\"], outs: [out/b]}\n"
	p := open(t, yaml, "src", "gen/x.c")
	p.repro("a:run b:run", all)
	if got := made(p.job("b").Made); got != "gen/a" {
		t.Errorf("b gets %s", got)
	}
	p.lock.Stage("a").Outs[0].Dir = true // a later run of a made a directory, says the lock
	p.repro("b:run", engine.Options{Targets: []string{"b"}, Single: true})
	if got := made(p.job("b").Made); got != "" {
		t.Errorf("b gets %s", got)
	}
}

func TestParamsThatAStageMakesAreReadFromThere(t *testing.T) {
	p := open(t, "stages:\n  a: {cmd: a, deps: [src], outs: [p.yaml]}\n  b: {cmd: b, params: [{p.yaml: [k]}], outs: [out/b]}\n", "src")
	p.runner.bytes = func(_ *action.Job, o spec.Out) string { return "k: " + p.read("src") + "\nrest: 1\n" }
	if verbs, _, err := p.run(engine.Options{Dry: true}); err != nil || verbs != "a:run b:depends" {
		t.Errorf("the plan: %s, %v", verbs, err)
	}
	_, _, err := p.run(engine.Options{Targets: []string{"b"}, Single: true})
	if !diag.Is(err, diag.NotFound) || !strings.Contains(err.Error(), "p.yaml does not exist: stage a, which creates it, has not run") {
		t.Errorf("b alone: %v", err)
	}
	p.repro("a:run b:run", all)
	if got := p.locked("b").Params; len(got) != 1 || got[0].Value != `"src"` || made(p.job("b").Made) != "p.yaml" {
		t.Errorf("params %v, made %s", got, made(p.job("b").Made))
	}
	p.write("src", "changed")
	p.repro("a:run b:run", all)
	if got := p.locked("b").Params[0].Value; got != `"changed"` || p.reasons("b") != event.ParamChanged {
		t.Errorf("%s because %s", got, p.reasons("b"))
	}
	if _, err := os.Lstat(p.path("p.yaml")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the values were read by putting the file into the workspace: %v", err)
	}
	p.loses(p.out("a"))
	_, _, err = p.run(all)
	if !diag.Is(err, diag.Failed) || !strings.Contains(err.Error(), "p.yaml") {
		t.Errorf("nowhere: %v", err)
	}
	p.repro("a:run b:skip", engine.Options{RebuildMissing: true})
}

func TestAutoIsThePlatformOfThisMachine(t *testing.T) {
	p := open(t, strings.Replace(one, "cmd: a,", "cmd: a, platform: auto,", 1), "src")
	p.repro("a:run", all)
	if got := p.record(p.cache, p.id("a")).Platform; got != "plan9/arm" {
		t.Errorf("the record says %q", got)
	}
	p.engine.Platform = "linux/amd64"
	p.repro("a:run", all)
	p.declare(strings.Replace(one, "cmd: a,", "cmd: a, platform: plan9/arm,", 1))
	p.repro("a:restore", all)
}

func TestARecordSaysWhoRanWhatAndWhen(t *testing.T) {
	p := open(t, "stages:\n  a: {cmd: a, deps: [src], outs: [out/a]}\n", "src/1", "src/2")
	p.runner.command = func(_ context.Context, job *action.Job) error {
		job.Line([]byte("first"))
		job.Line([]byte("second"))
		return nil
	}
	p.repro("a:run", all)
	rec := p.record(p.cache, p.id("a"))
	if rec.By != "ann" || rec.Version != "test" || rec.Stage != "a" || rec.Seconds != 1.5 || !rec.At.Equal(clock()) || rec.FromLock {
		t.Errorf("%+v", rec)
	}
	if want := []digest.Digest{p.locked("a").Deps[0].Digest}; !slices.Equal(rec.Inputs, want) {
		t.Errorf("inputs %v, want %v", rec.Inputs, want)
	}
	if !has(t, p.cache, object.Ref{Shelf: object.Inputs, Digest: rec.Inputs[0]}) || rec.Log != digest.Of([]byte("first\nsecond\n")) {
		t.Errorf("the list of inputs is not kept, or the log is another: %s", p.log("a"))
	}
	if p.log("a") != "first\nsecond\n" || p.told(event.Output) != "first\nsecond" {
		t.Errorf("log %q, shown %q", p.log("a"), p.told(event.Output))
	}
	var types []string
	for _, e := range p.events {
		types = append(types, string(e.Type))
		if e.Schema != event.Schema || e.Stage != "a" {
			t.Errorf("%+v", e)
		}
	}
	done := p.events[len(p.events)-1]
	if got := strings.Join(types, " "); got != "decided started output output done" || done.Seconds != 1.5 || !slices.Equal(done.Outs, p.locked("a").Outs) || done.Key == "" || p.events[0].Key != done.Key {
		t.Errorf("events: %s; the last: %+v", got, done)
	}
}
