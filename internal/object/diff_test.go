package object

import (
	"slices"
	"testing"
)

func TestDiffNamesEntriesThatChanged(t *testing.T) {
	tree := func(es ...Entry) *Tree { return &Tree{Entries: es} }
	f := func(kind Kind, path, content string) Entry {
		return Entry{Kind: kind, Path: file(path, "").Path, Digest: sum(content)}
	}
	a := tree(f(File, "a", "1"), f(File, "b", "2"), f(File, "d", "4"))
	b := tree(f(File, "b", "2"), f(File, "c", "3"), f(Executable, "d", "4"), f(File, "e", "5"))
	want := []Change{
		{"a", sum("1").String(), ""},
		{"c", "", sum("3").String()},
		{"d", sum("4").String(), sum("4").String() + " (executable)"},
		{"e", "", sum("5").String()},
	}
	if got := Diff(a, b); !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	if got := Diff(a, a); got != nil {
		t.Errorf("equal trees differ: %v", got)
	}
	if got := Diff(tree(), a); len(got) != 3 {
		t.Errorf("got %v", got)
	}
}
