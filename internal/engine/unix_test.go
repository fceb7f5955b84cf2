//go:build !windows

package engine_test

import (
	"os"
	"strings"
	"testing"
)

func TestExecutableInputsAreListedAsSuch(t *testing.T) {
	p := open(t, `
stages:
  a: {cmd: a, deps: [tool, dir], outs: [out/a]}
  live: {cmd: x, deps: [tool, dir, plain]}
`, "tool", "dir/tool", "plain")
	must(t, os.Chmod(p.path("tool"), 0o755))
	must(t, os.Chmod(p.path("dir/tool"), 0o755))
	p.repro("a:run live:run", all)
	if got := listed(p.job("a").Inputs); got != "x dir/tool, x tool" {
		t.Errorf("a build reads %s", got)
	}
	if got := listed(p.job("live").Inputs); got != "x dir/tool, f plain, x tool" {
		t.Errorf("a deployment gets %s", got)
	}
	must(t, os.Chmod(p.path("tool"), 0o644))
	p.repro("a:run live:run", all)
}

func TestAFrozenOutMustBeAFileOrADirectory(t *testing.T) {
	p := open(t, strings.Replace(one, "cmd: a,", "cmd: a, frozen: true,", 1), "src", "out/x")
	must(t, os.Symlink("x", p.path("out/a")))
	if _, _, err := p.run(all); err == nil || !strings.Contains(err.Error(), "is a symlink") {
		t.Errorf("%v", err)
	}
}
