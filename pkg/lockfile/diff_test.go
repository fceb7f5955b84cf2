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
		{"build", "command", "", text("cmd"), text("other")},
		{"build", "dep", "src", text("3"), text("33")},
		{"build", "param", "p.yaml:k", "1", "2"},
		{"build", "env", "A", "x", "set"},
		{"build", "out", "o", text("4"), text("44")},
		{"build", "dep", "gone", text("1"), ""},
		{"new", "command", "", "", text("cmd")},
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
		{one, two, []Change{{"build", "param", "p.yaml:k", sum("1").String(), sum("2").String()}}},
		{one, plain, []Change{{"build", "param", "p.yaml:k", sum("1").String(), "3"}}},
		{one, one, []Change{}},
	} {
		if got := Diff(c.a, c.b); !slices.Equal(got, c.want) {
			t.Errorf("got %v, want %v", got, c.want)
		}
	}
}
