package engine

import (
	"context"
	"errors"
	"slices"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/transfer"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Other is an output of another project, as that project's pipe.lock has it.
type Other struct {
	artifact.Output               // its path is from this project's root, with Top from the repository's top
	At              repopath.Path // from the repository's top, by which Others knows it
	Top             bool          // it lies outside this project
	Maker           string        // for people: the project and the stage
	Private         bool          // push: false: it never leaves this machine
	// ID names the record of the run that made it; without a key there is none to compare.
	ID object.RunID
	// Unmade says that its hash is not known: the stage has never run there, or is about to run.
	Unmade bool
}

// name is the output's path for people.
func (o *Other) name() string { return spec.Dep{Path: o.Path, Top: o.Top}.Name() }

// Others are the other projects of the repository: in this one, beside it and around it. A dep on what one of them makes is
// what its pipe.lock says, whatever lies on the disk: a clone without outputs has the same keys
// as one with them.
type Others interface {
	// Output returns the output that p, from the repository's top, is or lies in; false: no other
	// project makes it.
	Output(ctx context.Context, p repopath.Path) (Other, bool, error)
	// Tree returns the manifest of an output that is a directory.
	Tree(ctx context.Context, o Other) (*object.Tree, error)
	// Bring makes the output lie at its path, with the bytes of its project's cache or remote.
	Bring(ctx context.Context, o Other) error
}

// other looks an output of another project up; false: there is none. With top the path is from
// the repository's top.
func (r *run) other(ctx context.Context, d spec.Dep) (Other, bool, error) {
	at := d.Base()
	if r.Others == nil || at == repopath.Root || !d.Top && r.Inputs.InSource(at) {
		return Other{}, false, nil
	}
	if !d.Top {
		at = under(r.At, at)
	}
	o, ok, err := r.Others.Output(ctx, at)
	if err != nil || !ok {
		return o, false, err
	}
	o.Path, o.Top = o.At, d.Top
	if !d.Top {
		o.Path = r.At.Rel(o.At)
	}
	switch {
	case o.Unmade && r.opt.Dry:
		return o, true, errUnknown{what: o.Maker}
	case o.Unmade:
		return o, true, diag.New(diag.NotFound, "%s does not exist: %s, which creates it, has not run", o.name(), o.Maker).Hinted("pipe -R repro")
	}
	return o, true, nil
}

// otherDep reads a dep that is an output of another project, or lies inside one, as madeDep does
// those of this project.
func (r *run) otherDep(ctx context.Context, st *state, d spec.Dep, o Other, g *gathered) (artifact.Input, *object.Tree, error) {
	g.others = append(g.others, o)
	if o.Top {
		g.above = append(g.above, o.Output)
	}
	return r.outputDep(ctx, st, d, o.Output, g, func() (*object.Tree, error) {
		tree, err := r.Carrier.Tree(ctx, o.Path, o.Digest)
		if errors.As(err, new(*transfer.Missing)) {
			return r.Others.Tree(ctx, o)
		}
		return tree, err
	})
}

// bring makes other projects' outputs lie where the command looks for them.
func (r *run) bring(ctx context.Context, in *gathered) error {
	for _, o := range in.others {
		if err := r.Others.Bring(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

// crossCheckOthers compares other projects' locks with their records, as crossCheck does this
// project's: what goes live is what a record says. Those in the remote of this project are
// looked at.
func (r *run) crossCheckOthers(ctx context.Context, in *gathered) error {
	for _, o := range in.others {
		if r.opt.TrustLock || r.Remote == nil || o.ID.Key.IsZero() {
			continue
		}
		rec, err := Lookup(ctx, r.Remote, o.ID)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(rec.Outs, o.Same) {
			return diag.New(diag.Integrity, "not deployed: pipe.lock of %s says that %s has %s, but the record of the same inputs names another output", o.Maker, o.name(), o.Digest).
				At(store.RecordPath(o.ID)).Hinted("run pipe push in that project to use the recorded outputs, or pipe repro --trust-lock to deploy what pipe.lock names")
		}
	}
	return nil
}

// isPrivate reports whether an output among a stage's inputs must not leave this machine.
func (r *run) isPrivate(in *gathered, p repopath.Path) bool {
	if r.outs.is(p) {
		return r.mustStay(p)
	}
	return slices.ContainsFunc(in.others, func(o Other) bool { return o.Path == p && o.Private && !o.Top })
}
