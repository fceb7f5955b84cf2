package transfer_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/disk"
	"github.com/pipe-build/pipe/internal/transfer"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// A missing file stops every output that needs it, and nothing else; the tree of such an output
// stays out of the cache, where it would imply its files.
func TestALostObjectStopsOnlyItsOutputs(t *testing.T) {
	p := newProject(t)
	if err := p.carrier().Publish(t.Context(), p.outs); err != nil {
		t.Fatal(err)
	}
	p.remote.Damage(ref("inside b"), []byte("inside x"))
	twin := p.outs[1]
	twin.Path = "twin"
	single := artifact.Output{Path: "b", Digest: ref("inside b").Digest, Size: int64(len("inside b"))}
	cache := disk.Open(t.TempDir())
	c := &transfer.Carrier{Cache: cache, Remote: p.remote, Workers: 2}
	outs := append(p.outs, twin, single)
	err := c.Fetch(t.Context(), outs)
	var partial *transfer.Partial
	if !errors.As(err, &partial) || diag.ExitCode(err) != 7 {
		t.Fatalf("%v", err)
	}
	for i, o := range outs {
		if stops := partial.Stops(o); stops != (i > 0) {
			t.Errorf("%s: stopped %v", o.Path, stops)
		}
	}
	for r, want := range map[object.Ref]error{ref("app"): nil, ref("inside a"): nil, p.tree: store.ErrNotFound} {
		if _, err := cache.Stat(t.Context(), r); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", r, err, want)
		}
	}
}

func TestEveryOutputThatLacksBytesIsNamedAndManyFilesAreCounted(t *testing.T) {
	p := newProject(t)
	tree := &object.Tree{}
	for i := range 25 {
		tree.Entries = append(tree.Entries, object.Entry{Kind: object.File, Path: repopath.Path(fmt.Sprintf("f%02d", i)), Digest: ref(fmt.Sprint(i)).Digest, Size: 1})
	}
	many := tree.Output("many")
	if err := p.cache.Put(t.Context(), object.Of(many), store.Bytes(tree.Encode())); err != nil {
		t.Fatal(err)
	}
	last := artifact.Output{Path: "last", Digest: ref("last").Digest, Size: 4}
	err := transfer.Explained(p.carrier().Fetch(t.Context(), []artifact.Output{many, last}))
	text := err.Error()
	for _, want := range []string{"many/f00: ", "many/f19: ", "many: and 5 more files", "last: "} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if all := diag.All(err); len(all) != 1 || all[0].Kind != diag.NotFound || all[0].Hint == "" {
		t.Errorf("%v", all)
	}
}
