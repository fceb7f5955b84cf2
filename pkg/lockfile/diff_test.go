package lockfile

import (
	"slices"
	"testing"

	"github.com/pipe-build/pipe/pkg/artifact"
)

func TestDiffNamesEveryLineThatChanged(t *testing.T) {
	a := &File{Stages: []Stage{
		{
			Name: "build", Cmd: sum("cmd"), Deps: []artifact.Input{{Path: "gone", Digest: sum("1")}, {Path: "same", Digest: sum("2")}, {Path: "src", Digest: sum("3")}},
			Params: []Param{{File: "p.yaml", Key: "k", Value: "1"}}, Env: []Env{{Name: "A", Value: "x"}}, Outs: []artifact.Output{{Path: "o", Digest: sum("4")}},
		},
		{Name: "same", Cmd: sum("cmd")},
	}}
	b := &File{Stages: []Stage{
		{
			Name: "build", Cmd: sum("other"), Deps: []artifact.Input{{Path: "same", Digest: sum("2")}, {Path: "src", Digest: sum("33")}},
			Params: []Param{{File: "p.yaml", Key: "k", Value: "2"}}, Env: []Env{{Name: "A", Hash: "set"}}, Outs: []artifact.Output{{Path: "o", Digest: sum("44")}},
		},
		{Name: "new", Cmd: sum("cmd")},
		{Name: "same", Cmd: sum("cmd")},
	}}
	text := func(s string) string { return sum(s).String() }
	want := []Change{
		{Stage: "build", What: "command", Path: "", Old: text("cmd"), New: text("other")},
		{Stage: "build", What: "dep", Path: "src", Old: text("3"), New: text("33")},
		{Stage: "build", What: "param", Path: "p.yaml:k", Old: "1", New: "2"},
		{Stage: "build", What: "env", Path: "A", Old: "x", New: "set"},
		{Stage: "build", What: "out", Path: "o", Old: text("4"), New: text("44")},
		{Stage: "build", What: "dep", Path: "gone", Old: text("1"), New: ""},
		{Stage: "new", What: "command", Path: "", Old: "", New: text("cmd")},
	}
	if got := Diff(a, b); !slices.Equal(got, want) {
		t.Errorf("got\n%v\nwant\n%v", got, want)
	}
	if got := Diff(a, a); got == nil || len(got) != 0 {
		t.Errorf("equal locks differ: %v", got)
	}
}

// A value that is long, or must not be committed, stands in the lock by its hash alone.
func TestDiffNamesAHashedValueThatChanged(t *testing.T) {
	of := func(p Param) *File {
		p.File, p.Key = "p.yaml", "k"
		return &File{Stages: []Stage{{Name: "build", Params: []Param{p}}}}
	}
	one, two, plain := of(Param{Hash: sum("1")}), of(Param{Hash: sum("2")}), of(Param{Value: "3"})
	for _, c := range []struct {
		a, b *File
		want []Change
	}{
		{one, two, []Change{{Stage: "build", What: "param", Path: "p.yaml:k", Old: sum("1").String(), New: sum("2").String()}}},
		{one, plain, []Change{{Stage: "build", What: "param", Path: "p.yaml:k", Old: sum("1").String(), New: "3"}}},
		{one, one, []Change{}},
	} {
		if got := Diff(c.a, c.b); !slices.Equal(got, c.want) {
			t.Errorf("got %v, want %v", got, c.want)
		}
	}
}
