package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// large is an out of 2,000 files: to write them takes much longer than to see the first.
const large = `stages:
  large:
    cmd: mkdir out; seq 2000 | while read i; do echo $i > out/$i; done
    outs: [out]
`

// interrupted runs pipe find -o until a signal comes while it writes, and returns what lies
// beside the target then; the target does not.
func (p *place) interrupted(signal syscall.Signal, code int) []string {
	p.t.Helper()
	for range 50 { // pipe may be done before the signal comes
		must(p.t, os.RemoveAll(p.path("to")))
		must(p.t, os.Mkdir(p.path("to"), 0o777))
		run := p.start("find", "out", "-o", "to/got")
		for began := false; !began && len(run.done) == 0; runtime.Gosched() {
			names, _ := os.ReadDir(p.path("to"))
			began = len(names) > 0
		}
		_ = run.Process.Signal(signal)
		got := p.end(run)
		if got == 0 {
			continue
		}
		if got != code {
			p.t.Fatalf("exit code %d, not %d\n%s", got, code, &run.out)
		}
		left, err := filepath.Glob(p.path("to", "*")) // those with a dot, too
		must(p.t, err)
		if _, err := os.Lstat(p.path("to", "got")); err == nil {
			p.t.Fatalf("%q after exit code %d", left, code)
		}
		return left
	}
	p.t.Fatal("pipe was always done before the signal came")
	return nil
}

func TestAnInterruptedFindLeavesNothingInTheWay(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("pipe.yaml", large)
	p.pipe("repro")
	if left := p.interrupted(syscall.SIGINT, 130); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	p.interrupted(syscall.SIGKILL, -1)
	p.pipe("find", "out", "-o", "to/got")
	if files, err := os.ReadDir(p.path("to", "got")); err != nil || len(files) != 2000 {
		t.Errorf("%d files, %v", len(files), err)
	}
	for _, name := range []string{"to/got", "to/file"} { // nothing is overwritten
		if name == "to/file" {
			p.write(name, "mine")
		} else {
			p.write(name+"/mine", "mine")
		}
		run := p.start("find", "out", "-o", name)
		if code := p.end(run); code != 2 || !strings.Contains(run.out.String(), "already exists") {
			t.Errorf("%s: exit code %d\n%s", name, code, &run.out)
		}
	}
	p.wantFile("to/file", "mine")
	p.wantFile("to/got/mine", "mine")
	must(t, os.Remove(p.path("to", "got", "mine")))
	p.pipe("find", "out", "-o", "to/got") // it is there already
}
