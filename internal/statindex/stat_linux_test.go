package statindex

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestALookInADirectoryTellsKindsApart(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o666))
	must(t, os.Mkdir(filepath.Join(dir, "dir"), 0o777))
	must(t, os.Symlink("file", filepath.Join(dir, "link")))
	must(t, unix.Mkfifo(filepath.Join(dir, "pipe"), 0o666))
	d, err := OpenDir(dir)
	must(t, err)
	defer d.Close()
	list, err := d.List(settled, 1, nil)
	must(t, err)
	want := map[string]Kind{"file": IsFile, "dir": IsDir, "link": IsLink, "pipe": IsOther}
	for _, e := range list.Entries {
		if _, kind, err := d.Lstat(e.Name); err != nil || kind != want[e.Name] || e.Kind != kind {
			t.Errorf("%s: listed as %v, looked at %v, %v", e.Name, e.Kind, kind, err)
		}
	}
	if len(list.Entries) != len(want) {
		t.Errorf("%+v", list.Entries)
	}
	before, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	_, err = d.List(settled, 1, nil)
	must(t, err)
	if after, err := os.ReadDir("/proc/self/fd"); err != nil || len(after) > len(before) {
		t.Errorf("a list leaves %d files open, %v", len(after)-len(before), err)
	}
}

func TestAClosedDirectoryAnswersNothing(t *testing.T) {
	d, err := OpenDir(t.TempDir())
	must(t, err)
	d.Close()
	if _, err := d.Stat(); err == nil {
		t.Error("it is still open")
	}
	if _, err := d.List(settled, 1, nil); err == nil {
		t.Error("it was listed")
	}
}
