package main

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// Hashing and copying end, too, however much there is: 1 TiB takes minutes.
func TestSignalsEndTheReadingOfAHugeFile(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		args   []string
		huge   func(p *place) string // makes a file huge and returns its path
		signal syscall.Signal
		code   int
	}{
		{"verify", []string{"verify", "--remote", "--all", "--read"}, (*place).object, syscall.SIGINT, 130},
		{"repro", []string{"repro"}, func(p *place) string { return p.path("src") }, syscall.SIGTERM, 143},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			p.write("pipe.yaml", "remote: remote\nstages:\n  a: {cmd: cat src > out, deps: [src], outs: [out]}\n")
			p.write("src", "x")
			p.pipe("repro", "--push")
			must(t, os.RemoveAll(p.path(".pipe")))
			path := c.huge(p)
			must(t, os.Chmod(path, 0o644))
			must(t, os.Truncate(path, 1<<40))
			run := p.start(c.args...)
			p.until("the reading of "+path, func() bool { return holdsOpen(run.Process.Pid, path) })
			must(t, run.Process.Signal(c.signal))
			if code := p.end(run); code != c.code {
				t.Errorf("exit code %d, not %d\n%s", code, c.code, &run.out)
			}
		})
	}
}

// object returns the path of the only file in the remote.
func (p *place) object() string {
	p.t.Helper()
	all, err := filepath.Glob(p.path("remote", "files", "blake3", "*", "*"))
	if err != nil || len(all) != 1 {
		p.t.Fatalf("%v, %v", all, err)
	}
	return all[0]
}

// holdsOpen reports whether a process has a file open.
func holdsOpen(pid int, path string) bool {
	fds := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	entries, _ := os.ReadDir(fds)
	for _, e := range entries {
		if to, err := os.Readlink(filepath.Join(fds, e.Name())); err == nil && to == path {
			return true
		}
	}
	return false
}
