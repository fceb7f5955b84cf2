package pipe

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/pipe-build/pipe/internal/engine"
	"github.com/pipe-build/pipe/internal/gitlog"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/par"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/transfer"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// RevOptions say of which commits the locks count, in place of the workspace's own. The zero
// value means that one.
type RevOptions struct {
	AllBranches bool     // local branches, and those of git's remotes
	AllTags     bool     // that name a commit
	Revs        []string // in any form that git knows
}

func (o RevOptions) none() bool { return !o.AllBranches && !o.AllTags && len(o.Revs) == 0 }

// pinned is a stage as a commit has it: what pipe.yaml declares there, and what pipe.lock says.
type pinned struct {
	commit  string // as people say it
	project *spec.Project
	*lockfile.Stage
}

// pinned returns what the locks of other commits name, each version of a stage once. A commit whose
// pipe.yaml or pipe.lock cannot be read is an error in bad, beside what the others name.
func (p *Project) pinned(ctx context.Context, opt SyncOptions) (all []pinned, bad, err error) {
	if opt.none() {
		return nil, nil, nil
	}
	if err := p.needGit(); err != nil {
		return nil, nil, err
	}
	names, err := p.targets(opt.Targets)
	if err != nil {
		return nil, nil, err
	}
	meant := map[string]bool{}
	for _, n := range names {
		meant[n] = true
	}
	snapshots, err := p.snapshots(ctx, opt.RevOptions)
	if err != nil {
		return nil, nil, err
	}
	seen := map[string]bool{}
	for _, s := range snapshots {
		project, lock, err := p.parsed(ctx, s)
		if err != nil {
			bad = errors.Join(bad, fmt.Errorf("%s: %w", s.Name, err))
			continue
		}
		for i := range lock.Stages {
			l := &lock.Stages[i]
			id := fmt.Sprint(l.Name, l.Key, l.Generation, l.Outs)
			if seen[id] || !fits(project, l) || len(meant) > 0 && !meant[l.Name] {
				continue
			}
			seen[id] = true
			all = append(all, pinned{s.Name, project, l})
		}
	}
	return all, bad, nil
}

// snapshots reads pipe.lock and pipe.yaml of commits. Where files that pipe.yaml names differ, so may the
// stages: such commits are snapshots of their own.
func (p *Project) snapshots(ctx context.Context, opt RevOptions) ([]gitlog.Snapshot, error) {
	tips := gitlog.Tips{Branches: opt.AllBranches, Tags: opt.AllTags, Revs: opt.Revs}
	return p.repo.Snapshots(ctx, tips, append([]repopath.Path{p.lockAt, p.yamlAt(), p.at().Child(spec.DefaultVars)}, p.besides()...)...)
}

// parsed reads the files of a commit. One without pipe.lock or without pipe.yaml names nothing.
func (p *Project) parsed(ctx context.Context, s gitlog.Snapshot) (*spec.Project, *lockfile.File, error) {
	if s.Files[0] == nil || s.Files[1] == nil {
		return &spec.Project{}, &lockfile.File{}, nil
	}
	lock, err := lockfile.Parse(lockfile.FileName, s.Files[0])
	if err != nil {
		return nil, nil, err
	}
	project, err := p.parsePast(s.Files[1], p.inCommit(ctx, s.Commit))
	return project, lock, err
}

// outs returns the outputs of a stage that a remote may have.
func (x pinned) outs() (outs []artifact.Output) {
	s := x.project.Stage(x.Name)
	for i, o := range x.Outs {
		if !s.Outs[i].NoCache && !s.Outs[i].NoPush {
			outs = append(outs, o)
		}
	}
	return outs
}

// fetchPinned brings what other commits' locks name into the cache. Objects that several of them
// name are asked for once.
func (p *Project) fetchPinned(ctx context.Context, c *transfer.Carrier, r *SyncResult, opt SyncOptions) (lost, err error) {
	all, bad, err := p.pinned(ctx, opt)
	if err != nil {
		return nil, err
	}
	carriers, err := p.carriers(ctx, c, all)
	if err != nil {
		return nil, err
	}
	asked := map[*transfer.Carrier]bool{}
	for _, c := range carriers {
		if asked[c] {
			continue
		}
		asked[c] = true
		var outs []artifact.Output
		for i, x := range all {
			if carriers[i] == c {
				outs = append(outs, x.outs()...)
			}
		}
		var partial *transfer.Partial
		missing := c.Fetch(ctx, outs)
		if missing != nil && !errors.As(missing, &partial) {
			return nil, missing
		}
		lost = errors.Join(lost, missing)
		for i, x := range all {
			for _, o := range x.outs() {
				if carriers[i] == c && partial != nil && partial.Stops(o) {
					r.Lost = append(r.Lost, SyncOut{Stage: x.Name, Output: o, Commit: x.commit})
				}
			}
		}
	}
	return errors.Join(lost, bad), nil
}

// carriers returns the carrier of each stage, which knows the remotes that pipe.yaml names beside its
// lock. All commits whose outputs have no remotes of their own have one in common.
func (p *Project) carriers(ctx context.Context, c *transfer.Carrier, all []pinned) ([]*transfer.Carrier, error) {
	common := c.With(nil)
	of, carriers := map[*spec.Project]*transfer.Carrier{}, make([]*transfer.Carrier, len(all))
	for i, x := range all {
		if of[x.project] == nil {
			own, err := p.own(ctx, x.project)
			if err != nil {
				return nil, err
			}
			if of[x.project] = common; own != nil {
				of[x.project] = c.With(own)
			}
		}
		carriers[i] = of[x.project]
	}
	return carriers, nil
}

// pushPinned gives the remote what it lacks of what other commits' locks name. Nothing of this
// workspace changes: where another machine has recorded other outputs, the commit keeps its own, as
// the lock speaks before the record.
func (p *Project) pushPinned(ctx context.Context, pub *engine.Publisher, r *SyncResult, opt SyncOptions) error {
	all, bad, err := p.pinned(ctx, opt)
	if err != nil {
		return err
	}
	carriers, err := p.carriers(ctx, pub.Carrier, all)
	if err != nil {
		return err
	}
	fresh, lost := make([]bool, len(all)), make([]error, len(all))
	err = par.Each(ctx, len(all), min(p.workers(), 16), func(ctx context.Context, i int) (err error) {
		x, pub := all[i], *pub
		pub.Workspace = p.files(carriers[i])
		var rec *object.Record
		rec, fresh[i], err = pub.Ensure(ctx, x.project.Stage(x.Name), x.Stage)
		if err == nil && rec != nil && !slices.EqualFunc(rec.Outs, x.Outs, artifact.Output.Same) {
			err = pub.Carrier.Publish(ctx, x.outs())
		}
		if errors.Is(err, store.ErrNotFound) {
			lost[i], err = fmt.Errorf("%s: %w", x.commit, err), nil
		}
		return err
	})
	if err != nil {
		return err
	}
	for i, x := range all {
		if fresh[i] {
			r.Records++
		}
		if lost[i] != nil {
			for _, o := range x.outs() {
				r.Lost = append(r.Lost, SyncOut{Stage: x.Name, Output: o, Commit: x.commit})
			}
		}
	}
	return errors.Join(append(lost, bad)...)
}
