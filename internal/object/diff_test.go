package object

import (
	"slices"
	"testing"
)

func TestDiffNamesEntriesThatChanged(t *testing.T) {
	tree := func(es ...Entry) *Tree { return &Tree{Entries: es} }
	f := func(kind Kind, path, content string) Entry {
		return Entry{Kind: kind, Path: file(path, "").Path, Digest: sum(content), Size: 7}
	}
	a := tree(f(File, "a", "1"), f(File, "b", "2"), f(File, "d", "4"), f(File, "l", "6"))
	b := tree(f(File, "b", "2"), f(File, "c", "3"), f(Executable, "d", "4"), f(File, "e", "5"), f(Symlink, "l", "6"))
	want := []Change{
		{Path: "a", Old: sum("1").String(), OldSize: 7},
		{Path: "c", New: sum("3").String(), NewSize: 7},
		{Path: "d", Old: sum("4").String(), New: sum("4").String() + " (executable)", OldSize: 7, NewSize: 7},
		{Path: "e", New: sum("5").String(), NewSize: 7},
		{Path: "l", Old: sum("6").String(), New: sum("6").String() + " (symlink)", OldSize: 7, NewSize: 7},
	}
	if got := Diff(a, b); !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	if got := Diff(a, a); got != nil {
		t.Errorf("equal trees differ: %v", got)
	}
	if got := Diff(tree(), a); len(got) != 4 {
		t.Errorf("got %v", got)
	}
}
