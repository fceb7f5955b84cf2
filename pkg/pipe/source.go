package pipe

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/inputs"
	"github.com/pipe-build/pipe/internal/source"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// keeper keeps the project's sources.
func (p *Project) keeper() *source.Keeper {
	return &source.Keeper{Work: p.work, Env: p.env, Prompt: p.opt.Prompt, Modeless: p.modeless}
}

// recallSources lets inputs be read as pipe has last put them there, by a verb that does not look
// at the sources.
func (p *Project) recallSources() {
	p.inputs.SetSources(func() (known []inputs.Source) {
		for _, s := range p.spec.Sources {
			st := p.keeper().State(s)
			known = append(known, inputs.Source{Path: s.Path, Tree: st.Tree, Omitted: st.Omitted})
		}
		return known
	})
}

// readySources makes the sources ready to be read, for a run or, dry, for a plan.
func (p *Project) readySources(ctx context.Context, lock *lockfile.File, refs map[string]string, dry bool) error {
	if dry {
		return p.lookAtSources(ctx, lock, refs)
	}
	return p.placeSources(ctx, lock, refs)
}

// placeSources makes the files of all sources be those of the locked commits, or for this run alone those
// of other refs, by name. A source that was never locked is locked at the tip of its ref. It is
// called under the workspace's lock, before any input is read, and writes pipe.lock when a source
// was locked, or is not in pipe.yaml any longer.
func (p *Project) placeSources(ctx context.Context, lock *lockfile.File, refs map[string]string) error {
	chosen, err := p.overrides(refs)
	if err != nil {
		return err
	}
	dirty := lock.KeepSources(func(at repopath.Path) bool {
		return slices.ContainsFunc(p.spec.Sources, func(s spec.Source) bool { return s.Path == at })
	})
	var here []inputs.Source
	for _, s := range p.spec.Sources {
		var commit string
		locked, err := p.lockedAt(lock, s)
		switch other, override := chosen[s.Path]; {
		case override:
			s.Ref = other
			commit, err = p.keeper().Tip(ctx, s)
		case err == nil && locked != "":
			commit = locked
		case err == nil:
			if commit, err = p.keeper().Tip(ctx, s); err == nil {
				lock.SetSource(lockfile.Source{Path: s.Path, Git: s.Git, Ref: s.Ref, Commit: commit})
				dirty = true
			}
		}
		if err != nil {
			return err
		}
		st, err := p.placeSource(ctx, s, commit)
		if err != nil {
			return err
		}
		here = append(here, inputs.Source{Path: s.Path, Tree: st.Tree, Omitted: st.Omitted, Looked: true})
	}
	p.inputs.SetSources(func() []inputs.Source { return here })
	if !dirty {
		return nil
	}
	return p.saveLock(lock)
}

// placeSource keeps one source at a commit, and says so when something had to be put there.
func (p *Project) placeSource(ctx context.Context, s spec.Source, commit string) (source.State, error) {
	err := p.mayPut(s)
	if err != nil {
		return source.State{}, err
	}
	st, ok, err := p.keeper().Look(ctx, s, commit)
	if err != nil || ok {
		return st, err
	}
	if err := p.untracked(ctx, s); err != nil {
		return st, err
	}
	if st, err = p.keeper().Put(ctx, s, commit); err != nil {
		return st, err
	}
	p.inputs.Forget()
	p.note(fmt.Sprintf("source %s: checked out %.12s", s.Path, st.Commit))
	for _, at := range st.Omitted {
		p.note(fmt.Sprintf("source %s: submodule %s was left out; pipe does not fetch submodules", s.Path, at))
	}
	return st, nil
}

// mayPut refuses a path that git does not ignore: its files would become this repository's.
func (p *Project) mayPut(s spec.Source) error {
	if p.repo == nil {
		return nil
	}
	ignored, err := p.inputs.Ignored(s.Path, true)
	if err == nil && !ignored {
		err = diag.New(diag.Policy, "git does not ignore the source %s", s.Path).At(s.Place).
			Hinted("pipe update %s adds the line %s/ to .gitignore", s.Path, ignoreLine(s.Path))
	}
	return err
}

// untracked refuses a path at which git tracks files of this repository, or a submodule.
func (p *Project) untracked(ctx context.Context, s spec.Source) error {
	if p.repo == nil {
		return nil
	}
	carried, err := p.repo.Carries(ctx, p.at().Child(string(s.Path)))
	if err == nil && carried {
		err = diag.New(diag.Policy, "git tracks files at %s, the path of a source", s.Path).At(s.Place).Hinted("git rm -r --cached %s", s.Path)
	}
	return err
}

// lockedAt returns the commit that pipe.lock names for a source, "" when it was never locked. A
// block that a merge has broken is an error: the tip of today would be a commit that nobody chose.
func (p *Project) lockedAt(lock *lockfile.File, s spec.Source) (string, error) {
	if a := lock.AbsentSource(s.Path); a != nil {
		return "", diag.New(diag.Policy, "the locked commit of source %s cannot be read: %s", s.Path, a.Why).At(fmt.Sprintf("%s:%d", lockfile.FileName, a.Line)).
			Hinted("pipe lock resolve takes the commit of one side; pipe update %s locks the newest one", s.Path)
	}
	if l := lock.Source(s.Path); l != nil && l.Git == s.Git && l.Ref == s.Ref {
		return l.Commit, nil
	}
	return "", nil
}

// overrides finds the sources that refs are given for.
func (p *Project) overrides(refs map[string]string) (map[repopath.Path]string, error) {
	chosen := map[repopath.Path]string{}
	for _, name := range slices.Sorted(maps.Keys(refs)) {
		s, err := p.spec.Source(name)
		if err != nil {
			return nil, err
		}
		if old, twice := chosen[s.Path]; twice && old != refs[name] {
			return nil, diag.New(diag.Usage, "source %s is given two refs, %s and %s", s.Path, old, refs[name]).Hinted("give it one ref")
		}
		if !spec.IsRef(refs[name]) {
			return nil, diag.New(diag.Usage, "source %s: %q is not a valid branch, tag or commit", s.Path, refs[name]).Hinted("write its name, such as main, v1.2 or a commit's full hash")
		}
		chosen[s.Path] = refs[name]
	}
	return chosen, nil
}

// lookAtSources is placeSources for a run that changes nothing. A source that would have to be fetched is
// said to be, by the stages that need it; one that somebody has edited is read as it is.
func (p *Project) lookAtSources(ctx context.Context, lock *lockfile.File, refs map[string]string) error {
	chosen, err := p.overrides(refs)
	if err != nil {
		return err
	}
	var here []inputs.Source
	for _, s := range p.spec.Sources {
		commit, err := p.lockedAt(lock, s)
		if _, override := chosen[s.Path]; override {
			commit = "" // it takes the network to know
		}
		if err == nil {
			err = p.mayPut(s)
		}
		st, ok := source.State{}, false
		if err == nil && commit != "" {
			st, ok, err = p.keeper().Look(ctx, s, commit)
		}
		switch {
		case diag.Is(err, diag.Policy):
			p.note(err.Error() + " (" + diag.All(err)[0].Hint + ")")
			st = p.keeper().State(s)
		case err != nil:
			return err
		case !ok:
			st = source.State{}
		}
		here = append(here, inputs.Source{Path: s.Path, Tree: st.Tree, Omitted: st.Omitted, Looked: ok})
	}
	p.inputs.SetSources(func() []inputs.Source { return here })
	return nil
}

// sourceBits is git for files of sources, which the commit answers for.
func (p *Project) sourceBits(git func(repopath.Path) (exec, known bool)) func(repopath.Path) (exec, known bool) {
	return func(at repopath.Path) (exec, known bool) {
		if exec, known = p.inputs.Executable(at); known {
			return exec, known
		}
		return git(at)
	}
}

// trySources asks each source for the newest commit of its ref.
func (p *Project) trySources(ctx context.Context, lock *lockfile.File, add func(name, text string, err error)) {
	for _, s := range p.spec.Sources {
		err := p.mayPut(s)
		locked := "none"
		if err == nil && lock != nil {
			var commit string
			if commit, err = p.lockedAt(lock, s); commit != "" {
				locked = commit[:12]
			}
		}
		var tip string
		if err == nil {
			tip, err = p.keeper().Tip(ctx, s)
		}
		add("source "+string(s.Path), fmt.Sprintf("%s is %.12s, locked is %s", cmp.Or(s.Ref, "HEAD"), tip, locked), err)
	}
}
