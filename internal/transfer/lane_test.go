package transfer_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/disk"
	"github.com/pipe-build/pipe/internal/store/mem"
	"github.com/pipe-build/pipe/internal/transfer"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// apart has the outputs below a path in a remote of their own.
func (p *project) apart(at repopath.Path, own store.Remote) *transfer.Carrier {
	c := p.carrier()
	c.Own = func(o repopath.Path) store.Remote {
		if at.Holds(o) {
			return own
		}
		return nil
	}
	return c
}

func present(t *testing.T, s store.Store, refs ...object.Ref) (there []bool) {
	t.Helper()
	for _, r := range refs {
		there = append(there, has(t, s, r))
	}
	return there
}

func TestBytesThatOutputsOfTwoRemotesShareAreInBoth(t *testing.T) {
	p, own := newProject(t), mem.New()
	twin := artifact.Output{Path: "twin", Digest: ref("inside a").Digest, Size: 8}
	list := object.Ref{Shelf: object.Inputs, Digest: p.tree.Digest}
	b, err := store.ReadAll(t.Context(), p.cache, p.tree, 1<<10)
	if err == nil {
		err = p.cache.Put(t.Context(), list, store.Bytes(b))
	}
	if err != nil {
		t.Fatal(err)
	}
	c := p.apart("dist/static", own)
	outs := append(p.outs, twin)
	if err := c.Publish(t.Context(), outs, list); err != nil {
		t.Fatal(err)
	}
	refs := []object.Ref{ref("app"), ref("inside a"), ref("inside b"), p.tree, list}
	if got, want := present(t, p.remote.Store, refs...), []bool{true, true, false, false, true}; !slices.Equal(got, want) {
		t.Errorf("main: %v, want %v", got, want)
	}
	if got, want := present(t, own, refs...), []bool{false, true, true, true, false}; !slices.Equal(got, want) {
		t.Errorf("own: %v, want %v", got, want)
	}
	for _, o := range outs {
		if there, err := c.HasOutput(t.Context(), o); err != nil || !there {
			t.Errorf("%s: %v, %v", o.Path, there, err)
		}
	}
	// What one remote has says nothing about the other.
	here := p.apart("twin", mem.New())
	if there, err := here.HasOutput(t.Context(), twin); err != nil || there {
		t.Errorf("there %v, %v", there, err)
	}
	if there, err := here.HasOutput(t.Context(), artifact.Output{Path: "other", Digest: twin.Digest, Size: 8}); err != nil || !there {
		t.Errorf("there %v, %v", there, err)
	}
	if there, err := here.HasOutput(t.Context(), twin); err != nil || there {
		t.Errorf("there %v, %v", there, err)
	}
	p.cache = disk.Open(t.TempDir())
	if err := p.apart("dist/static", own).Fetch(t.Context(), outs); err != nil {
		t.Error(err)
	}
	if err := p.apart("dist/static", own).Lost(t.Context(), p.outs[1]); err != nil {
		t.Error(err)
	}
}

// unreached does not answer.
type unreached struct{ store.Remote }

var errUnreached = diag.New(diag.Network, "unreachable").At("mem://own")

func (unreached) Stat(context.Context, object.Ref) (int64, error) { return 0, errUnreached }

func (unreached) Open(context.Context, object.Ref) (io.ReadCloser, error) { return nil, errUnreached }

func TestARemoteThatDoesNotAnswerStopsOnlyItsOutputs(t *testing.T) {
	p := newProject(t)
	if err := p.carrier().Publish(t.Context(), p.outs); err != nil {
		t.Fatal(err)
	}
	full := p.cache
	p.cache = disk.Open(t.TempDir())
	own := unreached{mem.New()}
	err := p.apart("dist/static", own).Fetch(t.Context(), p.outs)
	var partial *transfer.Partial
	if !errors.As(err, &partial) || partial.Stops(p.outs[0]) || !partial.Stops(p.outs[1]) || !diag.Is(err, diag.Network) ||
		partial.Error() != "dist/static: mem://own: unreachable" {
		t.Errorf("%v", err)
	}
	if there := present(t, p.cache, ref("app")); !there[0] {
		t.Error("the other output did not come")
	}
	// The main remote is needed by all.
	c := p.carrier()
	c.Remote = own
	if err := c.Fetch(t.Context(), p.outs); err == nil || errors.As(err, &partial) {
		t.Errorf("%v", err)
	}
	// What the cache has needs no remote.
	p.cache = full
	if err := p.apart("dist", own).Fetch(t.Context(), p.outs); err != nil {
		t.Error(err)
	}
}
