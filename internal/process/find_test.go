package process_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/pipe-build/pipe/internal/process"
)

func TestFindRunsNothingThatARepositoryBrings(t *testing.T) {
	repo, safe, links := t.TempDir(), t.TempDir(), t.TempDir()
	name, file := "prog", "prog"
	if runtime.GOOS == "windows" {
		file = "prog.bat"
	}
	for _, dir := range []string{filepath.Join(repo, "bin"), safe} {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, file), []byte("#!/bin/sh\n"), 0o777); err != nil { //nolint:gosec // it must be a program
			t.Fatal(err)
		}
	}
	list := string(filepath.ListSeparator)
	path := "bin" + list + "." + list + list + filepath.Join(repo, "bin") + list
	if runtime.GOOS != "windows" { // symlinks need a privilege there
		if err := os.Symlink(filepath.Join(repo, "bin"), filepath.Join(links, "bin")); err != nil {
			t.Fatal(err)
		}
		path += filepath.Join(links, "bin") + list
	}
	t.Chdir(repo)
	env := []string{"PATH=/nowhere", "X=y", "PATH=" + path + safe}
	if got := process.Find(env, name, repo); got != filepath.Join(safe, file) {
		t.Errorf("%q", got)
	}
	if got := process.Find(env, name, ""); got != filepath.Join(repo, "bin", file) {
		t.Errorf("with nothing to avoid: %q", got)
	}
	if got := process.Find([]string{"PATH=" + path}, name, repo); got != "" {
		t.Errorf("%q", got)
	}
	if got := process.Find(nil, name, repo); got != "" {
		t.Errorf("%q", got)
	}
}
