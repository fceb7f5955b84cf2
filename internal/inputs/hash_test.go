//go:build !windows

package inputs

import (
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/repopath"
)

func TestAHashIsWhatADepWouldBeTakenFor(t *testing.T) {
	w := workspace(t)
	w.write(t, "src/.gitignore", "junk\n")
	w.write(t, "src/a", "1")
	w.write(t, "src/junk", "1")
	for _, p := range []repopath.Path{"src", "src/a"} {
		in := w.dep(t, p)
		want := artifact.Output{Path: p, Dir: in.Kind == artifact.Dir, Digest: in.Digest, Size: in.Size, Files: in.Files}
		if got, err := w.Hash(t.Context(), p, nil); err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", p, got, err, want)
		}
	}
	if _, err := w.Hash(t.Context(), "none", nil); !diag.Is(err, diag.Usage) {
		t.Errorf("nothing there: %v", err)
	}
}

func TestTheHashOfAnOutputIsThatOfWhatLiesThere(t *testing.T) {
	w := workspace(t)
	recorded := artifact.Output{Path: "out", Dir: true, Digest: digest.Of([]byte("recorded")), Size: 9, Files: 1}
	outs := map[repopath.Path]artifact.Output{"out": recorded, "new": {Path: "new"}}
	if got, err := w.Hash(t.Context(), "out", outs); err != nil || got != recorded {
		t.Errorf("absent: %+v, %v, want what was recorded", got, err)
	}
	for _, p := range []repopath.Path{"new", "out/a"} {
		if got, err := w.Hash(t.Context(), p, outs); err == nil {
			t.Errorf("%s is absent and nobody recorded it: %+v", p, got)
		}
	}
	w.write(t, "out/a", "edited")
	want, _, err := w.Output(t.Context(), "out")
	must(t, err)
	if got, err := w.Hash(t.Context(), "out", outs); err != nil || got != want || got == recorded {
		t.Errorf("edited: %+v, %v, want %+v", got, err, want)
	}
	if got, err := w.Hash(t.Context(), "out/a", outs); err != nil || got.Digest != digest.Of([]byte("edited")) || got.Dir {
		t.Errorf("a file in it: %+v, %v", got, err)
	}
}

func TestTheHashOfADirectoryHasTheRecordedOutputsBelowIt(t *testing.T) {
	w := workspace(t)
	w.write(t, "app/src", "1")
	w.write(t, "app/out", "edited")
	made := artifact.Output{Path: "app/out", Digest: digest.Of([]byte("recorded")), Size: 8}
	sub := artifact.Output{Path: "app/z/dir", Dir: true, Digest: digest.Of([]byte("tree")), Size: 8, Files: 2}
	outs := map[repopath.Path]artifact.Output{
		made.Path: made, sub.Path: sub, "app/never": {Path: "app/never"}, "elsewhere": {Path: "elsewhere", Digest: digest.Of(nil)},
	}
	in, _, err := w.Read(t.Context(), spec.Dep{Path: "app"}, nil, Made{Is: func(p repopath.Path) bool { _, ok := outs[p]; return ok }, Inside: []artifact.Output{made, sub}})
	must(t, err)
	got, err := w.Hash(t.Context(), "app", outs)
	if want := (artifact.Output{Path: "app", Dir: true, Digest: in.Digest, Size: in.Size, Files: in.Files}); err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
}
