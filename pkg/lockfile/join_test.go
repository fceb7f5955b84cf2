package lockfile

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/pkg/repopath"
)

// edits draws changes of which no two are of one block, for one side each.
func (t team) edits(base *File) (ours, theirs []func(f *File)) {
	add := func(do func(f *File)) {
		if t.IntN(2) == 0 {
			ours = append(ours, do)
		} else {
			theirs = append(theirs, do)
		}
	}
	for _, s := range base.Stages {
		switch next := t.again(s); t.IntN(4) {
		case 0:
			add(func(f *File) { f.Set(next) })
		case 1:
			add(func(f *File) { t.drop(f, s.Name) })
		}
	}
	for i := range t.IntN(4) {
		s := made(fmt.Sprintf("m%02d", 10*i+5), "1", t.IntN(4))
		add(func(f *File) { f.Set(s) })
	}
	for _, at := range []repopath.Path{"a", "b", "c/d"} {
		s := Source{Path: at, Git: "https://example.com/lib", Commit: sum(strconv.Itoa(t.IntN(4))).Hex()[:40]}
		if t.IntN(2) == 0 {
			add(func(f *File) { f.SetSource(s) })
		} else {
			add(func(f *File) { f.KeepSources(func(p repopath.Path) bool { return p != at }) })
		}
	}
	return ours, theirs
}

func after(base *File, edits ...func(f *File)) *File {
	f := copyOf(base)
	for _, do := range edits {
		do(f)
	}
	return f
}

func TestAMergeOfDisjointChangesHasAllOfThem(t *testing.T) {
	for seed := range uint64(rounds(500)) {
		m := draw(int(seed)%len(kinds), seed)
		a, b := team{rand.New(rand.NewPCG(seed, 3))}.edits(m.base)
		ours, theirs, want := after(m.base, a...), after(m.base, b...), after(m.base, append(slices.Clip(a), b...)...)
		got, conflicts := Merge(m.base, ours, theirs)
		if !bytes.Equal(got.Encode(), want.Encode()) || len(conflicts) > 0 || got.Absent != nil {
			t.Fatalf("seed %d: conflicts %q\ngot\n%s\nwant\n%s", seed, conflicts, got.Encode(), want.Encode())
		}
	}
}

// Whatever both sides did: the result is canonical, what one side alone changed is as that side
// has it, every block is one side's own, and without conflicts it does not matter who is ours.
func TestAMergeIsCanonicalAndBothWaysTheSame(t *testing.T) {
	for kind := range kinds {
		for seed := range uint64(rounds(100)) {
			m := draw(kind, seed)
			before := m.bytes()
			got, conflicts := Merge(m.base, m.ours, m.theirs)
			data := got.Encode()
			f, err := Parse(FileName, data)
			if err != nil || f.Absent != nil || !bytes.Equal(f.Encode(), data) {
				t.Fatalf("%s, seed %d: %+v, %v\n%s", kinds[kind].name, seed, f, err, data)
			}
			if err := m.check(data, false, false); err != nil {
				t.Fatalf("%s, seed %d: %v", kinds[kind].name, seed, err)
			}
			for _, name := range m.names() {
				if want, alone := m.wanted(name); alone && (bytesOf(got.Stage(name)) != want || slices.Contains(conflicts, name)) {
					t.Fatalf("%s, seed %d: one side alone changed %s; conflicts %q\n%s", kinds[kind].name, seed, name, conflicts, data)
				}
			}
			back, other := Merge(m.base, m.theirs, m.ours)
			if !slices.Equal(conflicts, other) || len(conflicts) == 0 && !bytes.Equal(back.Encode(), data) {
				t.Fatalf("%s, seed %d: conflicts %q and %q\n%s\n%s", kinds[kind].name, seed, conflicts, other, data, back.Encode())
			}
			if !reflect.DeepEqual(before, m.bytes()) {
				t.Fatalf("%s, seed %d: Merge changed a lock that it was given", kinds[kind].name, seed)
			}
		}
	}
}

// lockOf is the lock with these blocks, as texts.
func lockOf(t *testing.T, blocks ...string) *File {
	t.Helper()
	f, err := Parse(FileName, []byte(head+strings.Join(blocks, "")))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestWhereBothChangedOneBlockTheirsCounts(t *testing.T) {
	stage := func(version string, generation int) string {
		s := made("a", version, 0)
		s.Generation = generation
		return string(s.append(nil))
	}
	source := func(commit string) string {
		s := Source{Path: "lib", Git: "https://example.com/lib", Commit: sum(commit).Hex()[:40]}
		return string(s.append(nil))
	}
	extra := forged(stage("2", 1), "    sum", "    x-note: 1\n    sum")
	damaged := strings.Replace(stage("3", 0), "size: 1", "size: 2", 1)
	lost := strings.Replace(source("3"), "commit: ", "commit: 0", 1)
	for _, c := range []struct {
		name, base, ours, theirs, want string
		conflict                       string
	}{
		{"nobody changed it", stage("1", 0), stage("1", 0), stage("1", 0), stage("1", 0), ""},
		{"both the same", stage("1", 0), stage("2", 0), stage("2", 0), stage("2", 0), ""},
		{"both added it", "", stage("2", 0), stage("3", 0), stage("3", 0), "a"},
		{"both changed it", stage("1", 0), stage("2", 0), stage("3", 0), stage("3", 0), "a"},
		{"deleted and changed", stage("1", 0), "", stage("3", 0), stage("3", 0), "a"},
		{"changed and deleted", stage("1", 0), stage("2", 0), "", "", "a"},
		{"both deleted it", stage("1", 0), "", "", "", ""},
		{"only theirs deleted it", stage("1", 0), stage("1", 0), "", "", ""},
		{"ours is a later rebuild", stage("2", 0), stage("2", 2), stage("2", 1), stage("2", 2), ""},
		{"theirs is a later rebuild", "", stage("2", 0), stage("2", 1), stage("2", 1), ""},
		{"an older rebuild of another key", stage("1", 0), stage("2", 9), stage("3", 1), stage("3", 1), "a"},
		{"theirs went back to the first build", stage("2", 2), stage("2", 2), stage("2", 0), stage("2", 0), ""},
		{"ours has a field of a later version", "", extra, stage("2", 1), extra, ""},
		{"theirs has a field of a later version", "", stage("2", 1), extra, extra, ""},
		{"one key and other outs", "", forged(stage("2", 1), "size: 1", "size: 2"), stage("2", 1), stage("2", 1), "a"},
		{"theirs does not count", stage("1", 0), stage("1", 0), damaged, stage("1", 0), "a"},
		{"ours does not count", stage("1", 0), damaged, stage("1", 0), stage("1", 0), "a"},
		{"neither counts", stage("1", 0), damaged, damaged, "", "a"},
		{"both moved a source", source("1"), source("2"), source("3"), source("3"), "source:lib"},
		{"theirs moved a source", source("1"), source("1"), source("3"), source("3"), ""},
		{"a source with a field of a later version", source("1"), forged(source("2"), "    sum", "    x-note: 1\n    sum"), source("2"), forged(source("2"), "    sum", "    x-note: 1\n    sum"), ""},
		{"theirs lost a source's commit", "", "", lost, "", "source:lib"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, conflicts := Merge(lockOf(t, c.base), lockOf(t, c.ours), lockOf(t, c.theirs))
			if want := lockOf(t, c.want).Encode(); !bytes.Equal(got.Encode(), want) || strings.Join(conflicts, " ") != c.conflict {
				t.Errorf("conflicts %q\ngot\n%s\nwant\n%s", conflicts, got.Encode(), want)
			}
			if absent := c.conflict != "" && c.want == "" && c.theirs != ""; absent != (len(got.Absent) == 1 && got.Absent[0].Stage == c.conflict) {
				t.Errorf("absent %+v", got.Absent)
			}
		})
	}
}

func TestALockThatIsNotThereHasNoBlocks(t *testing.T) {
	f := example()
	for name, got := range map[string]func() (*File, []string){
		"no base and no theirs": func() (*File, []string) { return Merge(nil, f, nil) },
		"no base and no ours":   func() (*File, []string) { return Merge(nil, nil, f) },
	} {
		if got, conflicts := got(); !bytes.Equal(got.Encode(), f.Encode()) || len(conflicts) > 0 {
			t.Errorf("%s: conflicts %q\n%s", name, conflicts, got.Encode())
		}
	}
	if got, conflicts := Merge(f, nil, nil); !bytes.Equal(got.Encode(), (&File{}).Encode()) || len(conflicts) > 0 {
		t.Errorf("deleted on both sides: conflicts %q\n%s", conflicts, got.Encode())
	}
}
