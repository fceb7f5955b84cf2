package main

import (
	"errors"
	"os"
	"strings"
	"testing"
)

// Each fault is found by doctor, which fails and names the path and the next step.
func TestDoctorFindsWhatCannotBeWritten(t *testing.T) {
	t.Parallel()
	const mode = "hint: chmod -R u+rwX "
	for name, c := range map[string]struct {
		fault func(p *place) error
		want  []string
	}{
		".pipe":            {func(p *place) error { return os.Chmod(p.path(".pipe"), 0o555) }, []string{"FAIL  workspace: write in DIR/.pipe: permission denied", mode + "DIR/.pipe;"}},
		".pipe unreadable": {func(p *place) error { return os.Chmod(p.path(".pipe"), 0) }, []string{"FAIL  workspace: open DIR/.pipe: permission denied", mode + "DIR/.pipe;"}},
		"its tmp":          {func(p *place) error { return os.Chmod(p.path(".pipe", "tmp"), 0o555) }, []string{"FAIL  workspace: write in DIR/.pipe/tmp: permission denied"}},
		"its lock":         {func(p *place) error { return os.Chmod(p.path(".pipe", "lock"), 0) }, []string{"FAIL  workspace: open DIR/.pipe/lock: permission denied", mode + "DIR/.pipe/lock;"}},
		"no .pipe": {
			func(p *place) error { return errors.Join(os.RemoveAll(p.path(".pipe")), os.Chmod(p.dir, 0o555)) },
			[]string{"FAIL  workspace: write in DIR: permission denied", "FAIL  cache: write in DIR: permission denied"},
		},
		"a file": {func(p *place) error {
			return errors.Join(os.RemoveAll(p.path(".pipe")), os.WriteFile(p.path(".pipe"), nil, 0o666))
		}, []string{"FAIL  workspace: .pipe: must be a directory", "hint: remove it"}},
		"a file for tmp": {func(p *place) error {
			return errors.Join(os.RemoveAll(p.path(".pipe", "tmp")), os.WriteFile(p.path(".pipe", "tmp"), nil, 0o666))
		}, []string{"FAIL  workspace: DIR/.pipe/tmp: must be a directory", "hint: remove it"}},
		"the cache":     {func(p *place) error { return os.Chmod(p.path(".pipe", "cache"), 0o555) }, []string{"FAIL  cache: write in DIR/.pipe/cache: permission denied", "ok    workspace"}},
		"a part of it":  {func(p *place) error { return os.Chmod(p.path(".pipe", "cache", "runs", "k1"), 0o555) }, []string{"FAIL  cache: write in DIR/.pipe/cache/runs/k1: permission denied"}},
		"another cache": {func(p *place) error { p.env = append(p.env, "PIPE_CACHE=/proc/self"); return nil }, []string{"FAIL  cache: write in /proc/self: ", "ok    workspace"}},
		"a file for it": {func(p *place) error { p.env = append(p.env, "PIPE_CACHE="+p.path("src")); return nil }, []string{"FAIL  cache: DIR/src: must be a directory"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, _ := readOnlyPlace(t)
			if out, code := p.asNobody("doctor"); code != 0 {
				t.Fatalf("before: exit code %d\n%s", code, out)
			}
			must(t, c.fault(p))
			t.Cleanup(func() { p.writable(true) })
			out, code := p.asNobody("doctor")
			for _, want := range c.want {
				if want = strings.ReplaceAll(want, "DIR", p.dir); code != 1 || !strings.Contains(out, want) {
					t.Errorf("exit code %d, want %q\n%s", code, want, out)
				}
			}
		})
	}
}

func TestDoctorFindsAFullDisk(t *testing.T) {
	t.Parallel()
	if !mayMount(t) {
		return
	}
	p, beside := readOnlyPlace(t)
	p.env = append(p.env, "PIPE_CACHE="+beside)
	out, code := p.inMounts(`mount -t tmpfs -o size=8k none "$PIPE_CACHE" && if head -c 8k /dev/zero > "$PIPE_CACHE/x"; then touch "$PIPE_CACHE/empty"; fi`, "doctor")
	if code != 1 || !strings.Contains(out, "FAIL  cache: write in "+beside+": no space left on device\n      hint: free space on the disk") {
		t.Errorf("exit code %d\n%s", code, out)
	}
}
