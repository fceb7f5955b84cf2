package pipe

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/transfer"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// lists finds out which files a directory had. Of what it was only the hash is in the lock; the
// list, or the tree of an output, is an object that may be here or not.
type lists struct {
	*Project
	c    *transfer.Carrier
	lock *lockfile.File // whose outputs hold deps that lie inside them
}

func (p *Project) lists(c *transfer.Carrier, lock *lockfile.File) lists { return lists{p, c, lock} }

// offline is a carrier that asks no remote.
func (p *Project) offline() *transfer.Carrier {
	return &transfer.Carrier{Cache: p.cache, Workers: p.workers()}
}

// whole is an output as an input of another stage: its tree is its list.
func whole(o artifact.Output) artifact.Input {
	in := artifact.Input{Path: o.Path, Exec: o.Exec, Digest: o.Digest, Size: o.Size, Files: o.Files}
	if o.Dir {
		in.Kind = artifact.Dir
	}
	return in
}

// side is one of two states that are compared.
type side struct {
	lists
	in   artifact.Input
	tree *object.Tree // nil: it is looked for
}

// changedFiles names the files in which a stage's directories and globs changed. The verdict
// stands without them: where a list is nowhere, the reason gets a note that says so.
func (l lists) changedFiles(ctx context.Context, s *StageResult) (files []lockfile.Change, err error) {
	for w := range s.Because {
		why := &s.Because[w]
		d, err := digest.Parse(why.Old)
		i := slices.IndexFunc(s.deps, func(in artifact.Input) bool { return in.Name() == why.Path })
		if why.Code != event.DepChanged || err != nil || i < 0 {
			continue // without digests, only its executable bit changed
		}
		now := side{l, s.deps[i], s.trees[why.Path]}
		was := now
		was.tree = nil
		for _, in := range s.was {
			if in.Name() == now.in.Name() && in.Digest == d {
				was.in = in
			}
		}
		some, note, err := differing(ctx, s.Stage, was, now)
		if err != nil {
			return nil, err
		}
		why.Note = cmp.Or(why.Note, note)
		files = append(files, some...)
	}
	return lockfile.Renamed(files), nil
}

// changedOut names the files in which an output that lies in the workspace is not the recorded
// one.
func (l lists) changedOut(ctx context.Context, stage string, was artifact.Output, here *object.Tree) (files []lockfile.Change, note string, err error) {
	if !was.Dir || here == nil {
		return nil, "", nil
	}
	files, note, err = differing(ctx, stage, side{lists: l, in: whole(was)}, side{l, whole(was), here})
	return lockfile.Renamed(files), note, err
}

// differing compares two states of a directory or a glob; the note says why it cannot.
func differing(ctx context.Context, stage string, was, now side) (files []lockfile.Change, note string, err error) {
	if was.in.Kind.Plain() == artifact.OneFile || now.in.Kind.Plain() == artifact.OneFile {
		return nil, "", nil
	}
	which := [...]string{"old", "new"}
	for i, s := range []*side{&was, &now} {
		if s.tree != nil {
			continue
		}
		s.tree, err = s.find(ctx, stage, s.in)
		switch {
		case err == nil:
		case !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrCorrupt):
			return nil, "", err
		case s.c.Remote != nil && !s.c.NoFetch:
			return nil, "cannot list its changed files: the " + which[i] + " listing is neither in the cache nor in the remote", nil
		default:
			return nil, "cannot list its changed files: the " + which[i] + " listing is not in the cache", nil
		}
	}
	for _, c := range object.Diff(was.tree, now.tree) {
		at := artifact.Input{Path: c.Path, Kind: now.in.Kind}
		if now.in.Kind.Plain() == artifact.Dir {
			at.Path = now.in.Path.Child(string(c.Path)) // a glob's list has paths from the root
		}
		files = append(files, lockfile.Change{
			Stage: stage, What: "file", Path: at.Name(), Old: c.Old, New: c.New, In: now.in.Name(), OldSize: c.OldSize, NewSize: c.NewSize,
		})
	}
	return files, "", nil
}

// find returns the list of a dep: a part of the tree that it was looked up in, the list of what
// lay in the workspace, or the tree of another stage's output.
func (l lists) find(ctx context.Context, stage string, in artifact.Input) (*object.Tree, error) {
	if !in.In.IsZero() {
		return l.part(ctx, stage, in)
	}
	t, err := l.c.List(ctx, in.Digest)
	if errors.Is(err, store.ErrNotFound) && in.Kind.Plain() == artifact.Dir {
		t, err = l.c.Tree(ctx, in.Path, in.Digest)
	}
	return t, err
}

// part returns what a dep names in the output that holds it, without what the stage excludes. It
// may have excluded something else then: only a part with the dep's own hash is its list.
func (l lists) part(ctx context.Context, stage string, in artifact.Input) (*object.Tree, error) {
	holder, ok := l.holder(in)
	if !ok {
		return nil, store.ErrNotFound
	}
	t, err := l.c.Tree(ctx, holder, in.In)
	if err != nil {
		return nil, err
	}
	s, d := l.spec.Stage(stage), spec.Dep{Path: in.Path}
	if s == nil {
		s = &spec.Stage{} // it is gone, and so is what it excluded
	}
	if in.Kind == artifact.Glob {
		d = spec.Dep{Glob: repopath.Pattern(in.Path)}
	}
	sub := &object.Tree{}
	for _, e := range t.Entries {
		at := holder.Child(string(e.Path))
		if at == in.Path || !s.Takes(d, at) {
			continue
		}
		if e.Path = at; in.Kind == artifact.Dir {
			e.Path = in.Path.Rel(at)
		}
		sub.Entries = append(sub.Entries, e)
	}
	if sub.Input(in.Path, in.Kind).Digest != in.Digest {
		return nil, store.ErrNotFound
	}
	return sub, nil
}

// holder returns the output that a dep lies in.
func (l lists) holder(in artifact.Input) (repopath.Path, bool) {
	at := in.Path
	if in.Kind.IsTop() {
		return "", false // of a project outside, whose lock this is not
	}
	if in.Kind == artifact.Glob {
		at = repopath.Pattern(in.Path).Base()
	}
	for i := range l.lock.Stages {
		for _, o := range l.lock.Stages[i].Outs {
			if o.Dir && o.Path.Holds(at) {
				return o.Path, true
			}
		}
	}
	return "", false
}
