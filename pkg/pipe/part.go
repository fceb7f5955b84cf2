package pipe

import (
	"context"
	"errors"
	"slices"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/transfer"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// part is a path inside a directory output that is moved without the rest. A directory of
// which a part is here is not the output: it has another digest, so status says that it
// differs, push publishes it from elsewhere or not at all, and repro completes it.
type part struct {
	stage string
	out   repopath.Path // of the stage
	at    repopath.Path // inside out
}

// split takes the paths inside directory outputs out of the targets. Stages and outputs go
// before them.
func (p *Project) split(names []string) (rest []string, parts []part) {
	for _, n := range names {
		at, err := p.work.Inside(p.opt.Dir, n)
		if s, o := inside(p.spec, at); err == nil && s != nil && o.Path != at && p.spec.Stage(n) == nil {
			parts = append(parts, part{stage: s.Name, out: o.Path, at: at})
		} else {
			rest = append(rest, n)
		}
	}
	return rest, parts
}

// refuseParts refuses to begin an input of the project with a part of it. The next run could not tell it
// from an input whose other files were deleted on purpose, and would take it as that.
func (p *Project) refuseParts(parts []part) error {
	for _, x := range parts {
		if !p.spec.Stage(x.stage).Input {
			continue
		}
		_, err := p.work.Kind(x.out)
		if errors.Is(err, worktree.ErrAbsent) {
			return diag.New(diag.Policy, "a part of the input %s would be taken for all of it", x.out).At(string(x.at)).
				Hinted("run pipe pull %s, or pipe get %s for only this path", x.out, x.at)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// whole replaces paths inside outputs by the stages that make these: a record is of a whole stage.
func (p *Project) whole(names []string) []string {
	rest, parts := p.split(names)
	for _, x := range parts {
		rest = append(rest, x.stage)
	}
	return rest
}

// inside returns the output that a path is or lies in, and its stage; nil: there is none.
func inside(project *spec.Project, at repopath.Path) (*spec.Stage, spec.Out) {
	for i := range project.Stages {
		s := &project.Stages[i]
		for _, o := range s.Outs {
			if o.Path.Holds(at) {
				return s, o
			}
		}
	}
	return nil, spec.Out{}
}

// wanted is an output, or a part of one, that a verb brings.
type wanted struct {
	SyncOut
	whole  artifact.Output   // of a part: the directory that it is in
	tree   *object.Tree      // of a part: that of whole
	locked *lockfile.Stage   // of a whole output: the stage that made it
	files  []artifact.Output // whose bytes are needed
}

// find looks a part up in the tree of its output. A tree that is nowhere is a *transfer.Missing.
func (p *Project) find(ctx context.Context, c *transfer.Carrier, lock *lockfile.File, x part) (*wanted, error) {
	l := lock.Stage(x.stage)
	if !fits(p.spec, l) {
		return nil, diag.New(diag.NotFound, "%s has no stage %s", lockfile.FileName, x.stage).Hinted("pipe repro %s", x.stage)
	}
	return within(ctx, c, p.spec, l, x.at)
}

// within describes what lies at a path that is an output of a lock's stage, or inside one.
func within(ctx context.Context, c *transfer.Carrier, project *spec.Project, l *lockfile.Stage, at repopath.Path) (*wanted, error) {
	s, declared := inside(project, at)
	var o artifact.Output
	for _, x := range l.Outs {
		if x.Path == declared.Path {
			o = x
		}
	}
	if declared.NoCache {
		return nil, diag.New(diag.Usage, "git keeps %s (cache: false), not pipe", declared.Path).At(string(at)).Hinted("git restore %s", at)
	}
	w := &wanted{SyncOut: SyncOut{Stage: s.Name, Output: o}, whole: o}
	if at == o.Path && !o.Dir {
		w.files = []artifact.Output{o}
		return w, nil
	}
	gone := diag.New(diag.NotFound, "%s has no %s in %s", lockfile.FileName, o.Path.Rel(at), o.Path).Hinted("pipe diff lists what changed; pipe repro %s builds it", s.Name)
	if !o.Dir {
		return nil, gone
	}
	t, err := c.Tree(ctx, o.Path, o.Digest)
	if err != nil {
		return nil, err
	}
	w.tree = t
	rel := o.Path.Rel(at)
	for _, e := range t.Entries {
		if rel.Holds(e.Path) && e.IsFile() {
			w.files = append(w.files, e.Output(o.Path.Child(string(e.Path))))
		}
	}
	if at == o.Path {
		return w, nil
	}
	if e, ok := t.Find(rel); ok && e.Kind != object.Dir {
		w.Output = e.Output(at)
	} else if sub, ok := t.Sub(rel); ok {
		w.Output = sub.Output(at)
	} else {
		return nil, gone
	}
	return w, nil
}

// stops reports whether something of it could not be fetched.
func (w *wanted) stops(partial *transfer.Partial) bool {
	return partial != nil && slices.ContainsFunc(w.files, partial.Stops)
}

// lostOnly reports whether an error is about bytes of one output that are missing or damaged, or in a
// remote of its own that cannot be asked.
func lostOnly(err error) bool {
	return errors.As(err, new(*transfer.Missing)) || errors.As(err, new(*transfer.Partial)) || errors.Is(err, store.ErrCorrupt) || diag.Is(err, diag.Integrity)
}
