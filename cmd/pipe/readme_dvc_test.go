//go:build !windows

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// fromDVC begins the README's block about a project of DVC.
const fromDVC = "pipe import dvc --dry-run"

// TestTheWayFromDVC runs that block in a project that DVC has made: each command succeeds, and pipe repro
// runs nothing.
func TestTheWayFromDVC(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(quickDir(t), "project")
	must(t, os.CopyFS(dir, os.DirFS("../../testdata/dvc/get-started")))
	in, printed := session(t, dir)
	run := func(command string) string {
		_, err := in.Write([]byte(command + "\nprintf \"[$?]" + mark + "\"\n"))
		must(t, err)
		text, err := printed.ReadString(mark[0])
		must(t, err)
		text = strings.TrimSuffix(text, mark)
		if !strings.HasSuffix(text, "[0]") {
			t.Fatalf("%s:\n%s", command, text)
		}
		return strings.TrimSuffix(text, "[0]")
	}
	run("git init -q -b main && git add . && git commit -qm Before")
	ran, unchanged := false, regexp.MustCompile(`(?m)^[1-9] unchanged in `)
	for _, b := range blocks(t, "../../README.md") {
		if !strings.HasPrefix(b.text, fromDVC) {
			continue
		}
		for _, c := range strings.Split(strings.TrimSpace(b.text), "\n") {
			out := run(c)
			if strings.HasPrefix(c, "pipe repro ") {
				ran = true
				if !unchanged.MatchString(out) {
					t.Errorf("%s printed\n%s", c, out)
				}
			}
		}
	}
	if !ran {
		t.Error("the README has no such block")
	}
}
