package lockfile

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// What git leaves with conflict markers has both sides in it: a stage is on each side as it is in the lock
// that was merged, or as git merged it cleanly, or absent, where git mixed it outside of the markers.
func TestSidesAreTheLocksThatGitHasMerged(t *testing.T) {
	dir, whole := t.TempDir(), 0
	for kind := range kinds {
		for seed := range uint64(rounds(12)) {
			m := draw(kind, seed)
			for name, b := range m.bytes() {
				if err := os.WriteFile(filepath.Join(dir, name), b, 0o666); err != nil {
					t.Fatal(err)
				}
			}
			style := [][]string{nil, {"--diff3"}, {"--zdiff3"}, {"--marker-size=9"}}[seed%4]
			data, conflicts := git(t, dir, nil, append(append([]string{"merge-file", "-p"}, style...), "ours", "base", "theirs")...)
			if seed%5 == 0 {
				data = bytes.ReplaceAll(data, []byte("\n"), []byte("\r\n"))
			}
			ours, theirs, err := Sides(FileName, data)
			if err != nil {
				t.Fatal(err)
			}
			if conflicts == 0 && (!bytes.Equal(ours.Encode(), theirs.Encode()) || ours.Absent != nil) {
				t.Fatalf("%s, seed %d: two sides without a conflict:\n%s", kinds[kind].name, seed, data)
			}
			for _, name := range m.names() {
				if ours.Stage(name) != nil && theirs.Stage(name) != nil {
					whole++
				}
				want, alone := m.wanted(name)
				for _, side := range [][2]*File{{ours, m.ours}, {theirs, m.theirs}} {
					if got := bytesOf(side[0].Stage(name)); got != "" && got != bytesOf(side[1].Stage(name)) && (!alone || got != want) {
						t.Fatalf("%s, seed %d %q: %s is of no side\n%s\nof\n%s", kinds[kind].name, seed, style, name, got, data)
					}
				}
			}
		}
	}
	if whole < 100 {
		t.Errorf("only %d stages were on both sides", whole)
	}
}

func TestOfTwoWholeBlocksTheFirstIsOursAndTheLastTheirs(t *testing.T) {
	first, second := string(ref(made("a", "1", 0)).append(nil)), string(ref(made("a", "2", 0)).append(nil))
	ours, theirs, err := Sides(FileName, []byte(head+first+second))
	if err != nil || bytesOf(ours.Stage("a")) != first || bytesOf(theirs.Stage("a")) != second {
		t.Errorf("%v\n%s%s", err, ours.Encode(), theirs.Encode())
	}
}

func ref(s Stage) *Stage { return &s }

func TestHunksAreTakenFromBothSides(t *testing.T) {
	for _, c := range []struct{ name, data, ours, theirs string }{
		{"no markers", "a\n", "a\n", "a\n"},
		{"one hunk", "a\n<<<<<<< HEAD\nb\n=======\nc\n>>>>>>> x\nd\n", "a\nb\nd\n", "a\nc\nd\n"},
		{"a base", "<<<<<<<\nb\n||||||| base\na\n=======\nc\n>>>>>>>\n", "b\n", "c\n"},
		{"a base with markers in it", "<<<<<<< HEAD\nb\n||||||| base\n<<<<<<<<< 1\nx\n=========\ny\n>>>>>>>>> 2\n=======\nc\n>>>>>>> x\n", "b\n", "c\n"},
		{"longer markers", "<<<<<<<<< HEAD\nb\n=========\nc\n>>>>>>>>> x\n", "b\n", "c\n"},
		{"an empty side", "<<<<<<< HEAD\n=======\nc\n>>>>>>> x\n", "", "c\n"},
		{"no end", "<<<<<<< HEAD\nb\n=======\nc\n", "b\nc\n", "b\nc\n"},
		{"an end alone", "b\n=======\nc\n>>>>>>> x\n", "b\n=======\nc\n>>>>>>> x\n", "b\n=======\nc\n>>>>>>> x\n"},
		{"no line end", "<<<<<<< HEAD\nb\n=======\nc\n>>>>>>> x", "b\n", "c\n"},
	} {
		if ours, theirs := hunks([]byte(c.data)); string(ours) != c.ours || string(theirs) != c.theirs {
			t.Errorf("%s: %q and %q", c.name, ours, theirs)
		}
	}
}
