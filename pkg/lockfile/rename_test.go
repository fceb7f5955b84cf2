package lockfile

import (
	"math/rand/v2"
	"reflect"
	"testing"
)

// gone and added are changes of files with the content v.
func gone(p, v string) Change { return Change{Stage: "a", What: "file", Path: p, Old: v, OldSize: 3} }

func added(p, v string) Change { return Change{Stage: "a", What: "file", Path: p, New: v, NewSize: 3} }

func renamed(from, p, v string) Change {
	return Change{Stage: "a", What: "file", Path: p, From: from, Old: v, New: v, OldSize: 3, NewSize: 3}
}

func TestARenameIsOneChange(t *testing.T) {
	out := func(c Change) Change { c.What = "out"; return c }
	in := func(dir string, c Change) Change { c.In = dir; return c }
	other := func(c Change) Change { c.Stage = "b"; return c }
	value := func(c Change) Change { c.What = "param"; return c }
	for name, c := range map[string]struct{ changes, want []Change }{
		"nothing":                      {[]Change{}, []Change{}},
		"one file":                     {[]Change{gone("a/x", "1"), added("a/y", "1")}, []Change{renamed("a/x", "a/y", "1")}},
		"an output":                    {[]Change{out(gone("x", "1")), out(added("y", "1"))}, []Change{out(renamed("x", "y", "1"))}},
		"other content":                {[]Change{gone("x", "1"), added("y", "2")}, []Change{gone("x", "1"), added("y", "2")}},
		"another mode":                 {[]Change{gone("x", "1"), added("y", "1"+Executable)}, []Change{gone("x", "1"), added("y", "1"+Executable)}},
		"another stage":                {[]Change{gone("x", "1"), other(added("y", "1"))}, []Change{gone("x", "1"), other(added("y", "1"))}},
		"a file and an output":         {[]Change{gone("x", "1"), out(added("y", "1"))}, []Change{gone("x", "1"), out(added("y", "1"))}},
		"values are not renamed":       {[]Change{value(gone("x", "1")), value(added("y", "1"))}, []Change{value(gone("x", "1")), value(added("y", "1"))}},
		"the same base name first":     {[]Change{gone("a/x", "1"), gone("a/y", "1"), added("b/y", "1")}, []Change{gone("a/x", "1"), renamed("a/y", "b/y", "1")}},
		"then in the order of paths":   {[]Change{gone("a", "1"), gone("b", "1"), added("c", "1"), added("d", "1")}, []Change{renamed("a", "c", "1"), renamed("b", "d", "1")}},
		"more are new than gone":       {[]Change{gone("a", "1"), added("b", "1"), added("c", "1")}, []Change{renamed("a", "b", "1"), added("c", "1")}},
		"a base name takes its own":    {[]Change{gone("d/n", "1"), added("a", "1"), added("e/n", "1")}, []Change{added("a", "1"), renamed("d/n", "e/n", "1")}},
		"one base name, several times": {[]Change{gone("a/n", "1"), gone("b/n", "1"), added("c/n", "1"), added("d/n", "1")}, []Change{renamed("a/n", "c/n", "1"), renamed("b/n", "d/n", "1")}},
		"the same directory first": {
			[]Change{in("b", gone("a/n", "1")), in("a", gone("b/m", "1")), in("a", added("c/n", "1"))},
			[]Change{in("b", gone("a/n", "1")), in("a", renamed("b/m", "c/n", "1"))},
		},
		"from one directory to another": {[]Change{in("a", gone("a/x", "1")), in("b", added("b/y", "1"))}, []Change{in("b", renamed("a/x", "b/y", "1"))}},
	} {
		if got := Renamed(c.changes); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got\n%v\nwant\n%v", name, got, c.want)
		}
	}
}

// The pairs are the same in whatever order the changes come.
func TestRenamesDoNotDependOnTheOrder(t *testing.T) {
	changes := []Change{gone("a/n", "1"), gone("b/n", "1"), gone("c", "1"), added("d/n", "1"), added("e", "1"), added("f", "1"), added("g", "1")}
	pairs := func() map[string]string {
		m := map[string]string{}
		for _, c := range Renamed(changes) {
			m[c.Path] = c.From
		}
		return m
	}
	want := pairs()
	for range 50 {
		rand.Shuffle(len(changes), func(i, j int) { changes[i], changes[j] = changes[j], changes[i] })
		if got := pairs(); !reflect.DeepEqual(got, want) {
			t.Fatalf("%v, then %v", want, got)
		}
	}
}

// A lock shows the executable bit beside the hash.
func TestDiffNamesTheExecutableBitAndSizes(t *testing.T) {
	of := func(exec bool, size int64) *File {
		s := small("a")
		s.Outs[0].Exec, s.Outs[0].Size = exec, size
		return &File{Stages: []Stage{s}}
	}
	got := Diff(of(false, 4), of(true, 4))
	if len(got) != 1 || got[0].What != "out" || got[0].New != got[0].Old+Executable || got[0].OldSize != 4 || got[0].NewSize != 4 {
		t.Errorf("%+v", got)
	}
}

// A key that changed alone is told as what it is.
func TestDiffNamesADefinitionThatTheLockDoesNotShow(t *testing.T) {
	a, b := &File{Stages: []Stage{small("a")}}, &File{Stages: []Stage{small("a")}}
	b.Stages[0].Key[0]++
	if got := Diff(a, b); len(got) != 1 || got[0].What != "definition" || got[0].Old != a.Stages[0].Key.String() {
		t.Errorf("%+v", got)
	}
	b.Stages[0].Outs[0].Digest = sum("new")
	if got := Diff(a, b); len(got) != 2 || got[1].What != "definition" {
		t.Errorf("%+v", got)
	}
	b.Stages[0].Cmd = sum("other")
	if got := Diff(a, b); len(got) != 2 || got[0].What != "command" {
		t.Errorf("%+v", got)
	}
}
