package engine_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/engine"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// beside are other projects: one output, which lies on the disk when it was brought.
type beside struct {
	p       *project
	out     engine.Other
	content string
	tree    *object.Tree // of a directory
	brought int
}

func (b *beside) Output(_ context.Context, at repopath.Path) (engine.Other, bool, error) {
	o := b.out
	o.At = o.Path
	return o, o.At.Holds(at), nil
}

func (b *beside) Tree(context.Context, engine.Other) (*object.Tree, error) { return b.tree, nil }

func (b *beside) Bring(ctx context.Context, o engine.Other) error {
	b.brought++
	if o.Dir {
		b.p.write(string(o.Path)+"/x", b.content)
	} else {
		b.p.write(string(o.Path), b.content)
	}
	_, err := b.p.work.Save(ctx, b.p.cache, o.Path)
	return err
}

// file makes the output a file.
func (b *beside) file(content string) {
	b.content = content
	b.out.Output = artifact.Output{Path: "lib/z", Digest: digest.Of([]byte(content)), Size: int64(len(content))}
}

const readsOther = `
project: shop
stages:
  a: {cmd: make, deps: [lib/z], outs: [a.out]}
  d: {cmd: ship, deps: [lib/z], deploy: true}
`

func withOther(t *testing.T, yaml string) (*project, *beside) {
	t.Helper()
	p := open(t, yaml)
	b := &beside{p: p, out: engine.Other{Maker: "lib:gen"}}
	b.file("one")
	p.engine.Others = b
	return p, b
}

func TestAnotherProjectsOutputIsWhatItsLockSays(t *testing.T) {
	p, b := withOther(t, readsOther)
	p.repro("a:run d:run", engine.Options{Dry: true})
	if b.brought > 0 {
		t.Error("a plan brought bytes")
	}
	p.repro("a:run d:run", all)
	if in := p.locked("a").Deps[0]; in.Path != "lib/z" || in.Digest != digest.Of([]byte("one")) || b.brought != 2 {
		t.Errorf("%+v, brought %d times", in, b.brought)
	}
	p.write("lib/z", "edited")
	p.repro("a:skip d:skip", all)
	b.file("two")
	p.repro("a:run d:run", all)
}

func TestAnotherProjectsDirectoryIsLookedInto(t *testing.T) {
	p, b := withOther(t, "stages:\n  a: {cmd: make, deps: [lib/z/x], outs: [a.out]}\n")
	x := digest.Of([]byte("one"))
	b.tree = &object.Tree{Entries: []object.Entry{{Kind: object.File, Path: "x", Digest: x, Size: 3}}}
	b.out.Output = b.tree.Output("lib/z")
	p.repro("a:run", all)
	if in := p.locked("a").Deps[0]; in.Path != "lib/z/x" || in.Digest != x || in.In != b.out.Digest {
		t.Errorf("%+v", in)
	}
	b.tree = nil // the lock remembers what was looked up
	p.repro("a:skip", all)
}

func TestWhatAnotherProjectHasNotMadeIsWaitedFor(t *testing.T) {
	p, b := withOther(t, readsOther)
	b.out.Unmade = true
	p.repro("a:depends d:depends", engine.Options{Dry: true})
	_, _, err := p.run(all)
	if !diag.Is(err, diag.NotFound) || !strings.Contains(err.Error(), "lib:gen, which creates it, has not run") {
		t.Error(err)
	}
}

func TestAnotherProjectsPrivateOutputStaysHere(t *testing.T) {
	for _, private := range []bool{true, false} {
		p, b := withOther(t, readsOther)
		b.out.Private = private
		p.repro("a:run d:run", all)
		if has(t, p.remote, object.Of(b.out.Output)) == private {
			t.Errorf("private is %v, and in the remote is %v", private, private)
		}
	}
}

func TestNothingIsDeployedThatAnotherProjectsRecordContradicts(t *testing.T) {
	p, b := withOther(t, readsOther)
	b.out.ID = object.RunID{Key: digest.Key(digest.Of([]byte("key")))}
	p.repro("a:run d:run", all) // no record says anything
	record := func(content string) {
		rec := &object.Record{ID: b.out.ID, Stage: "gen", Outs: []artifact.Output{{Path: "z", Digest: digest.Of([]byte(content)), Size: 3}}, Stamp: object.Stamp{By: "ann", Version: "test"}, At: clock()}
		value, err := rec.Encode()
		must(t, err)
		_, err = p.remote.Record(t.Context(), rec.ID, value)
		must(t, err)
	}
	record("two")
	b.file("six")
	_, _, err := p.run(all)
	if !diag.Is(err, diag.Integrity) || !strings.Contains(err.Error(), "pipe.lock of lib:gen") || errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
	b.file("two")
	p.repro("a:run d:run", all)
	b.file("six")
	p.repro("a:restore d:run", engine.Options{TrustLock: true})
}

func TestAParamsFileOfAnotherProjectIsRead(t *testing.T) {
	p, b := withOther(t, "stages:\n  a: {cmd: make, params: [{lib/p.yaml: [k]}], outs: [a.out]}\n")
	b.file("k: one\n")
	b.out.Path = "lib/p.yaml"
	p.repro("a:run", all)
	if got := p.locked("a").Params[0].Value; got != `"one"` {
		t.Errorf("k is %s", got)
	}
	p.repro("a:skip", all)
	b.file("k: two\n")
	b.out.Path = "lib/p.yaml"
	p.repro("a:run", all)
}
