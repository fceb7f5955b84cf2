package pipe

import (
	"context"
	"errors"
	"slices"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/engine"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/internal/yamldoc"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Added is what Add did.
type Added struct {
	Inputs []SyncOut `json:"inputs"` // that were named; Changed: pipe.lock named other bytes, or none
	Wrote  []string  `json:"wrote"`  // files of the project that changed
}

// Add makes files and directories inputs of the project: their bytes are kept by hash in pipe.lock,
// cache and remote, and not in git. It adds them to inputs: in pipe.yaml and to .gitignore. What
// is an input already is taken as it lies there now. Either all of the paths are inputs then, or
// nothing has changed but the cache.
//
// Objects and record come first, as with a build, then pipe.yaml, pipe.lock and .gitignore: who is
// stopped in between runs it again.
func (p *Project) Add(ctx context.Context, names []string) (r *Added, err error) {
	release, err := p.holdBoth(ctx, "add")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, release()) }()
	var paths []repopath.Path
	for _, name := range names {
		at, err := p.addable(ctx, name)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(paths, at) {
			paths = append(paths, at)
		}
	}
	if p.readOnly != nil {
		return nil, p.cannotWrite("pipe.lock has to change")
	}
	lock, err := p.lockToWrite()
	if err != nil {
		return nil, err
	}
	before := slices.Clone(lock.Encode())
	old, err := atomicfile.Read(p.path(spec.FileName), yamldoc.MaxSize)
	if err != nil {
		return nil, err
	}
	text := string(old)
	for _, at := range paths {
		if p.spec.Stage(spec.InputName(at)) == nil {
			here, _, err := p.work.Output(ctx, at)
			if err != nil {
				return nil, err
			}
			if text, err = spec.AddInput(text, at, here.Dir, p.options(p.file)); err != nil {
				return nil, err
			}
		}
	}
	r = &Added{Inputs: []SyncOut{}, Wrote: []string{}}
	if err := p.takeInputs(ctx, r, text, lock, paths); err != nil {
		return nil, err
	}
	if err := p.rewrite(&r.Wrote, spec.FileName, string(old), text); err != nil {
		return nil, err
	}
	if err := p.rewrite(&r.Wrote, lockfile.FileName, string(before), string(lock.Encode())); err != nil {
		return nil, err
	}
	return r, p.ignore(&r.Wrote, paths)
}

// addable returns the path that a user named, if it may be an input.
func (p *Project) addable(ctx context.Context, name string) (repopath.Path, error) {
	at, err := p.work.Inside(p.opt.Dir, name)
	if err != nil {
		return "", err
	}
	if why := spec.Reserved(at); why != "" {
		return "", diag.New(diag.Usage, "cannot be an input: %s", why).At(name).Hinted("name a file or directory with data: pipe add data/raw")
	}
	if err := p.overlap(at); err != nil {
		return "", err
	}
	here, _, err := p.work.Output(ctx, at)
	switch {
	case errors.Is(err, worktree.ErrAbsent):
		return "", diag.New(diag.NotFound, "no such file or directory").At(name).Hinted("create it first, or run pipe pull to fetch an input that is in pipe.lock")
	case err != nil:
		return "", err
	}
	if p.repo != nil {
		tracked, err := p.repo.Tracked(ctx, p.lockAt.Dir(), []repopath.Path{at})
		if err != nil {
			return "", err
		}
		if len(tracked) > 0 {
			flag := ""
			if here.Dir {
				flag = "-r "
			}
			return "", diag.New(diag.Policy, "tracked by git, and only one of git and pipe can keep it").At(name).
				Hinted("git rm %s--cached %s, then pipe add %s", flag, name, name)
		}
	}
	return at, nil
}

// overlap refuses a path that stages make, or that holds or lies in what they make or in another
// input.
func (p *Project) overlap(at repopath.Path) error {
	for i := range p.spec.Stages {
		s := &p.spec.Stages[i]
		for _, o := range s.Outs {
			if s.Input && o.Path == at || !o.Path.Holds(at) && !at.Holds(o.Path) {
				continue
			}
			e := diag.New(diag.Usage, "%s cannot be an input: it is %s", at, s.Made(o.Path)).At(o.Place)
			switch {
			case o.Path == at:
			case o.Path.Holds(at):
				e.What = string(at) + " is inside " + s.Made(o.Path)
			default:
				e.What = string(at) + " contains " + s.Made(o.Path)
			}
			if s.Input && o.Path.Holds(at) {
				return e.Hinted("pipe add %s", o.Path)
			}
			return e.Hinted("keep inputs and outputs in directories of their own")
		}
	}
	return nil
}

// takeInputs has the engine take the inputs, with pipe.yaml as it is going to be.
func (p *Project) takeInputs(ctx context.Context, r *Added, text string, lock *lockfile.File, paths []repopath.Path) error {
	next, err := p.parse([]byte(text))
	if err != nil {
		return err
	}
	was := p.spec
	p.spec = next
	e, err := p.engine(ctx, ReproOptions{NoPull: true}, nil)
	if err != nil {
		p.spec = was
		return err
	}
	e.SaveLock = func(*lockfile.File) error { return nil } // after pipe.yaml
	e.Emit = func(ev event.Event) {
		if ev.Type == event.Note {
			p.emit(ev)
		}
	}
	o := engine.Options{Single: true, Take: true, Jobs: 1}
	for _, at := range paths {
		o.Targets = append(o.Targets, spec.InputName(at))
	}
	result, err := e.Run(ctx, lock, o)
	if err != nil {
		p.spec = was
		return err
	}
	for _, s := range result.Stages {
		r.Inputs = append(r.Inputs, SyncOut{Stage: s.Stage.Name, Output: s.Outs[0], Changed: s.Verdict.Do == event.Add})
	}
	return nil
}

// rewrite replaces one of the project's own files, unless it is the same, and notes that.
func (p *Project) rewrite(wrote *[]string, name, old, next string) error {
	if old == next {
		return nil
	}
	*wrote = append(*wrote, name)
	return p.write(name, []byte(next))
}
