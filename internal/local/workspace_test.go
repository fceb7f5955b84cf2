//go:build !windows

package local_test

import (
	"context"
	"errors"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/par"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/disk"
	"github.com/pipe-build/pipe/internal/transfer"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
)

// placed places an output and says whether that changed anything.
func (p *place) placed(o artifact.Output, recorded ...artifact.Output) bool {
	p.t.Helper()
	changed, err := p.Place(p.t.Context(), "s", o, recorded)
	must(p.t, err)
	return changed
}

func TestPlaceBringsAnOutputFromCacheOrRemote(t *testing.T) {
	p := open(t, "")
	file, dir := p.saved("file", "1"), p.saved("dir/x", "2")
	for _, o := range []artifact.Output{file, dir} {
		if !p.placed(o) || p.placed(o) {
			t.Errorf("%s: what changes it is not the first time alone", o.Path)
		}
	}
	if p.read("file") != "1" || p.read("dir/x") != "2" || len(p.notes) > 0 {
		t.Errorf("file %q, dir/x %q, notes %q", p.read("file"), p.read("dir/x"), p.notes)
	}
	other := p.published(p.saved("other", "3"))
	must(t, p.cache.Remove(t.Context(), object.Of(other)))
	if !p.placed(other) || p.read("other") != "3" || !p.has(object.Of(other)) {
		t.Errorf("other %q", p.read("other"))
	}
}

func TestPlaceKeepsAnEditAndNamesItOnce(t *testing.T) {
	p := open(t, "")
	o := p.saved("out", "built")
	p.write("out", "edited")
	if !p.placed(o, o) || p.read("out") != "built" {
		t.Errorf("out holds %q", p.read("out"))
	}
	edit := digest.Of([]byte("edited"))
	if !p.has(object.Ref{Digest: edit}) {
		t.Error("the edit is lost")
	}
	if len(p.notes) != 1 || !strings.Contains(p.notes[0], "out was edited") || !strings.Contains(p.notes[0], "pipe find "+edit.Short()+" -o FILE") {
		t.Errorf("notes %q", p.notes)
	}
	p.write("out", "edited")
	if !p.placed(o) || len(p.notes) != 1 {
		t.Errorf("the same edit again: notes %q", p.notes)
	}
}

func TestPlaceSaysNothingOfWhatTheLockNames(t *testing.T) {
	p := open(t, "")
	o := p.saved("out", "new")
	p.write("out", "old")
	old, _, err := p.Work.Output(t.Context(), "out")
	must(t, err)
	elsewhere := old
	elsewhere.Path = "elsewhere"
	if !p.placed(o, elsewhere, old) || len(p.notes) > 0 {
		t.Errorf("notes %q", p.notes)
	}
	if !p.has(object.Of(old)) {
		t.Error("what the lock names is not in the cache")
	}
	p.write("out", "older")
	older, _, err := p.Work.Output(t.Context(), "out")
	must(t, err)
	older.Path = "elsewhere"
	if !p.placed(o, older) || len(p.notes) != 1 {
		t.Errorf("what the lock names elsewhere: notes %q", p.notes)
	}
}

func TestAKnownTreeIsKeptWithAllItsFiles(t *testing.T) {
	p := open(t, "")
	p.write("dir/x", "1")
	dir := p.takeAway("dir")
	p.write("dir/x", "1")
	must(t, p.cache.Remove(t.Context(), object.Ref{Digest: digest.Of([]byte("1"))}))
	must(t, p.Keep(t.Context(), "s", dir, []artifact.Output{dir}))
	if !p.has(object.Ref{Digest: digest.Of([]byte("1"))}) || len(p.notes) > 0 {
		t.Errorf("the tree's file is not in the cache, or noted: %q", p.notes)
	}
}

func TestBytesThatAreNowhereAreMissingAndNothingChanges(t *testing.T) {
	p := open(t, "")
	o := p.saved("out", "built")
	must(t, p.cache.Remove(t.Context(), object.Of(o)))
	p.write("out", "edited")
	_, err := p.Place(t.Context(), "s", o, nil)
	var missing *transfer.Missing
	if !errors.As(err, &missing) || missing.Path != "out" || p.read("out") != "edited" {
		t.Errorf("%v; out holds %q", err, p.read("out"))
	}
}

func TestADamagedObjectIsFetchedAgain(t *testing.T) {
	for _, name := range []string{"file", "dir/x"} {
		p := open(t, "")
		o := p.published(p.saved(name, "good"))
		p.damage(object.Ref{Digest: digest.Of([]byte("good"))})
		if !p.placed(o) || p.read(name) != "good" {
			t.Errorf("%s holds %q", name, p.read(name))
		}
		if b, err := os.ReadFile(p.object(object.Ref{Digest: digest.Of([]byte("good"))})); err != nil || string(b) != "good" {
			t.Errorf("%s: the cache has %q, %v", name, b, err)
		}
	}
}

func TestADamagedObjectThatNobodyElseHasIsNamed(t *testing.T) {
	p := open(t, "")
	o := p.saved("file", "good")
	p.damage(object.Of(o))
	_, err := p.Place(t.Context(), "s", o, nil)
	if !errors.Is(err, store.ErrCorrupt) || !errors.As(err, new(*transfer.Missing)) || p.read("file") != "-" {
		t.Errorf("%v; file holds %q", err, p.read("file"))
	}
}

// hooked is a cache that calls a function before a batch begins or commits.
type hooked struct {
	*disk.Store
	begin, commit func() error
}

func (h *hooked) Begin() (store.Batch, error) {
	if err := h.begin(); err != nil {
		return nil, err
	}
	b, err := h.Store.Begin()
	return &hookedBatch{b, h}, err
}

type hookedBatch struct {
	store.Batch
	h *hooked
}

func (b *hookedBatch) Commit() error { return errors.Join(b.h.commit(), b.Batch.Commit()) }

// hook puts functions between the workspace and its cache.
func (p *place) hook(begin, commit func() error) {
	fine := func() error { return nil }
	h := &hooked{p.cache, fine, fine}
	if begin != nil {
		h.begin = begin
	}
	if commit != nil {
		h.commit = commit
	}
	p.Workspace.Cache = h
}

func TestStagesThatWantOneOutputAtOncePlaceItOnce(t *testing.T) {
	p := open(t, "")
	o := p.saved("out", "built")
	p.write("out", "edited")
	var keeps atomic.Int32
	p.hook(func() error {
		keeps.Add(1)
		for range 10_000 { // the others get here, unless they wait for the first to end
			runtime.Gosched()
		}
		return nil
	}, nil)
	const n = 4
	changed := make([]bool, n)
	must(t, par.Each(t.Context(), n, n, func(ctx context.Context, i int) (err error) {
		changed[i], err = p.Place(ctx, "s", o, nil)
		return err
	}))
	times := 0
	for _, c := range changed {
		if c {
			times++
		}
	}
	if times != 1 || keeps.Load() != 1 || len(p.notes) != 1 || p.read("out") != "built" {
		t.Errorf("placed %d times, kept %d times, notes %q", times, keeps.Load(), p.notes)
	}
}

func TestAnEditThatCannotBeKeptIsNotReplaced(t *testing.T) {
	p := open(t, "  a: {cmd: 'echo new > out', outs: [out]}\n")
	o := p.saved("out", "built")
	p.write("out", "edited")
	broken := errors.New("broken")
	p.hook(nil, func() error { return broken })
	if _, err := p.Place(t.Context(), "s", o, nil); !errors.Is(err, broken) || p.read("out") != "edited" {
		t.Errorf("place: %v; out holds %q", err, p.read("out"))
	}
	if _, err := p.Run(t.Context(), p.job("a")); !errors.Is(err, broken) || p.read("out") != "edited" || p.left() != "" {
		t.Errorf("run: %v; out holds %q, left %s", err, p.read("out"), p.left())
	}
}

func TestRescueSavesWhatOnlyTheWorkspaceHas(t *testing.T) {
	p := open(t, "")
	file, dir := p.saved("file", "1"), p.saved("dir/x", "2")
	inside := object.Ref{Digest: digest.Of([]byte("2"))}
	p.write("file", "1")
	p.write("dir/x", "2")
	must(t, p.cache.Remove(t.Context(), object.Of(file)))
	must(t, p.cache.Remove(t.Context(), inside)) // the tree is there
	must(t, errors.Join(p.Rescue(t.Context(), file), p.Rescue(t.Context(), dir)))
	if !p.has(object.Of(file)) || !p.has(inside) {
		t.Error("the cache lacks them")
	}
}

func TestRescueSavesNothingElse(t *testing.T) {
	p := open(t, "")
	o := p.saved("file", "1")
	p.write("file", "edited")
	must(t, p.Rescue(t.Context(), o)) // the cache has it
	must(t, p.cache.Remove(t.Context(), object.Of(o)))
	must(t, p.Rescue(t.Context(), o)) // an edit lies there
	must(t, os.Remove(p.path("file")))
	must(t, p.Rescue(t.Context(), o)) // nothing lies there
	if p.has(object.Ref{Digest: digest.Of([]byte("edited"))}) || p.has(object.Of(o)) {
		t.Error("the cache has what nobody asked for")
	}
}

func TestParamsAreReadSorted(t *testing.T) {
	p := open(t, "  a: {cmd: x, params: [{z.yaml: [b, a]}, {b.json: [k]}], outs: [out]}\n")
	p.write("z.yaml", "a: 1\nb: [2]\nc: 3\n")
	p.write("b.json", `{"k": "v"}`)
	values, err := p.Params(t.Context(), p.project.Stage("a"), nil)
	must(t, err)
	var got []string
	for _, v := range values {
		got = append(got, string(v.File)+":"+v.Key+"="+v.Value)
	}
	if want := `b.json:k="v" z.yaml:a=!"1" z.yaml:b=[!"2"]`; strings.Join(got, " ") != want {
		t.Errorf("%s, want %s", got, want)
	}
	must(t, os.Remove(p.path("b.json")))
	_, err = p.Params(t.Context(), p.project.Stage("a"), nil)
	if !diag.Is(err, diag.Usage) || !strings.Contains(err.Error(), "a: params file b.json") {
		t.Errorf("%v", err)
	}
	p.write("b.json", "{}")
	if _, err = p.Params(t.Context(), p.project.Stage("a"), nil); err == nil {
		t.Error("a key that is not there is no error")
	}
}

func TestParamsOfAnOutputAreThoseThatItsStageLeft(t *testing.T) {
	p := open(t, "  a: {cmd: x, params: [{gen/p.yaml: [k]}], outs: [out]}\n")
	p.write("gen/p.yaml", "k: made\n")
	made, err := p.Work.Save(t.Context(), p.cache, "gen")
	must(t, err)
	for _, lies := range []string{"k: edited\n", ""} {
		p.write("gen/p.yaml", lies)
		if lies == "" {
			must(t, os.RemoveAll(p.path("gen")))
		}
		values, err := p.Params(t.Context(), p.project.Stage("a"), []artifact.Output{made})
		if err != nil || len(values) != 1 || values[0].Value != `"made"` {
			t.Errorf("with %q there: %v, %v", lies, values, err)
		}
	}
	_, err = p.Params(t.Context(), p.project.Stage("a"), []artifact.Output{{Path: "gen", Digest: digest.Of([]byte("nowhere"))}})
	if !errors.As(err, new(*transfer.Missing)) {
		t.Errorf("%v", err)
	}
}
