package engine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// deploy brings a deploy stage up to date: done is what the environment says.
func (r *run) deploy(ctx context.Context, st *state) error {
	in, err := r.gather(ctx, st)
	if err != nil {
		return err
	}
	st.Key, st.Trees = action.KeyOf(st.Stage, in.Inputs), in.byPath()
	live, err := r.Env.Live(ctx, st.Stage.Name)
	if err != nil {
		return err
	}
	st.Verdict = action.DecideDeploy(st.Stage, st.Key, in.Inputs, live, r.forced(st.Stage))
	r.decided(st)
	if st.Verdict.Do != event.Run || r.opt.Dry {
		return nil
	}
	if err := r.confirmed(st); err != nil {
		return err
	}
	closure, tree, err := r.closure(ctx, st, in)
	if err != nil {
		return err
	}
	return r.runDeploy(ctx, st, in, closure, tree)
}

// confirmed asks once per run.
func (r *run) confirmed(st *state) error {
	if r.opt.Confirm == nil {
		return nil
	}
	r.confirm.Do(func() { r.confirm.refused = r.opt.Confirm(st.Stage.Name, st.Verdict) })
	return r.confirm.refused
}

// closure puts everything that the command will see into the cache and the
// remote: what is live can be fetched again.
func (r *run) closure(ctx context.Context, st *state, in *gathered) (artifact.Output, *object.Tree, error) {
	var none artifact.Output
	for _, o := range in.made {
		if err := r.fetch(ctx, o); err != nil {
			return none, nil, err
		}
	}
	for _, src := range in.sources {
		if err := r.Work.SaveInputs(ctx, r.Cache, src.top, r.ownFiles(src)); err != nil {
			if errors.Is(err, store.ErrCorrupt) {
				return none, nil, diag.New(diag.Stage, "%s: %s changes while it is read", st.Stage.Name, src.top).At(st.Stage.Place).
					Hinted("wait for the writer to end, then run pipe repro again")
			}
			return none, nil, err
		}
	}
	tree, err := r.closureTree(ctx, in)
	if err != nil {
		return none, nil, err
	}
	o := tree.Output("closure")
	if err := r.Cache.Put(ctx, object.Of(o), store.Bytes(tree.Encode())); err != nil {
		return none, nil, err
	}
	notes, err := r.keepNotes(ctx, in, nil)
	if err != nil {
		return none, nil, err
	}
	return o, tree, r.Carrier.Publish(ctx, append(slices.Clone(in.made), o), notes...)
}

// fetch brings an out's bytes into the cache: from the remote, or from the workspace that has them.
func (r *run) fetch(ctx context.Context, o artifact.Output) error {
	err := r.Carrier.Fetch(ctx, []artifact.Output{o})
	if err == nil || !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if here, _, herr := r.Work.Output(ctx, o.Path); herr == nil && here.Same(o) {
		_, err := r.Work.Save(ctx, r.Cache, o.Path)
		return err
	}
	return r.lostOr(err, r.outs.by[o.Path], o.Path)
}

// ownFiles returns the part of a source that no stage makes.
func (r *run) ownFiles(src source) *object.Tree {
	own := &object.Tree{}
	for _, e := range src.tree.Entries {
		p := src.top
		if e.Path != repopath.Root {
			p = p.Child(string(e.Path))
		}
		if !r.outs.is(p) {
			own.Entries = append(own.Entries, e)
		}
	}
	return own
}

// closureTree returns one tree of all deps, its paths relative to the repository.
func (r *run) closureTree(ctx context.Context, in *gathered) (*object.Tree, error) {
	all := map[repopath.Path]object.Entry{}
	add := func(top repopath.Path, t *object.Tree) {
		for _, e := range t.Entries {
			if e.Path == repopath.Root {
				e.Path = top
			} else {
				e.Path = top.Child(string(e.Path))
			}
			if e.Kind != object.Nested {
				all[e.Path] = e
			}
		}
	}
	for _, src := range in.sources {
		add(src.top, src.tree)
	}
	for _, d := range in.Deps {
		if d.Kind == "" && d.Exec {
			if e, ok := all[d.Path]; ok {
				e.Kind = object.Executable
				all[d.Path] = e
			}
		}
	}
	for _, o := range in.made {
		if !o.Dir {
			e := object.Entry{Kind: object.File, Path: repopath.Root, Digest: o.Digest, Size: o.Size}
			if o.Exec {
				e.Kind = object.Executable
			}
			add(o.Path, &object.Tree{Entries: []object.Entry{e}})
			continue
		}
		t, err := r.Carrier.Tree(ctx, o.Path, o.Digest)
		if err != nil {
			return nil, r.lostOr(err, r.outs.by[o.Path], o.Path)
		}
		add(o.Path, t)
	}
	tree := &object.Tree{}
	for _, e := range all {
		tree.Entries = append(tree.Entries, e)
	}
	tree.Sort()
	return tree, tree.Check()
}

// runDeploy runs the command between "deploying" and "ok" or "failed".
func (r *run) runDeploy(ctx context.Context, st *state, in *gathered, closure artifact.Output, tree *object.Tree) (err error) {
	root := r.Work.Root()
	if !st.Stage.InRepo {
		dir, err := os.MkdirTemp(r.Work.Tmp(), "deploy-*")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		root = filepath.Join(dir, "work")
		if err := r.Work.BuildTree(ctx, r.Cache, root, tree); err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Join(root, filepath.FromSlash(string(st.Stage.Wdir))), 0o777); err != nil {
			return err
		}
	} else if err := r.bringInputs(ctx, in); err != nil {
		return err
	}
	d := Deployment{
		Stage: st.Stage.Name, Key: st.Key, Closure: closure.Digest, Deps: in.Deps, Artifacts: in.made,
		Again: r.forced(st.Stage) || st.Stage.AlwaysChanged,
	}
	token, err := r.Env.Begin(ctx, d)
	if errors.Is(err, ErrLive) {
		r.note(st.Stage.Name, "another run has deployed this version meanwhile")
		st.Verdict = action.Verdict{Do: event.Skip, Because: []event.Reason{{Code: event.LiveSame, Path: r.EnvName}}}
		return nil
	}
	if err != nil {
		return err
	}
	_, seconds, err := r.command(ctx, st, root, r.deployEnv(st, in, root, token))
	if err == nil && st.Stage.InRepo {
		err = r.recheck(ctx, &attempt{state: st, in: in})
	}
	// The environment learns how it ended even when this run is being stopped.
	eerr := r.Env.End(context.WithoutCancel(ctx), d, token, err == nil)
	if err = errors.Join(err, eerr); err != nil {
		return err
	}
	r.emit(event.Event{Type: event.Done, Stage: st.Stage.Name, Deploy: true, Verb: event.Run, Seconds: seconds, Key: st.Key.String()})
	return nil
}

// deployEnv is what a deploy command sees: everything, credentials too.
func (r *run) deployEnv(st *state, in *gathered, root, token string) []string {
	var env []string
	for _, kv := range r.Environ {
		if !strings.HasPrefix(kv, "PIPE_HASH_") {
			env = append(env, kv)
		}
	}
	return append(r.addEnv(env, st, in, root), "PIPE_ENV="+r.EnvName, "PIPE_DEPLOYMENT="+token)
}
