package pipe

import (
	"context"
	"errors"
	"slices"

	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// SourceMove is where a source was locked, and where it is now.
type SourceMove struct {
	Path    repopath.Path `json:"path"`              // relative to the project
	Git     string        `json:"git"`               // the repository, as in pipe.yaml
	Ref     string        `json:"ref,omitempty"`     // as in pipe.yaml; empty: the repository's HEAD
	From    string        `json:"from,omitempty"`    // the commit that was locked; empty: none
	Commit  string        `json:"commit"`            // the commit that is locked now
	Changed bool          `json:"changed"`           // they differ
	Ignored string        `json:"ignored,omitempty"` // the line that was added to .gitignore
}

// Update moves sources, all or those that are named, to the tips of their refs: in pipe.lock, and
// in the workspace. A path that git does not ignore gets a line in .gitignore. The answer has the
// sources that were looked at, also beside an error.
func (p *Project) Update(ctx context.Context, names []string) (moves []SourceMove, err error) {
	moves = []SourceMove{}
	chosen, err := p.chosenSources(names)
	if err != nil {
		return moves, err
	}
	h, err := p.hold(ctx, "update")
	if err != nil {
		return moves, err
	}
	defer func() { err = errors.Join(err, h.Release()) }()
	if p.readOnly != nil {
		return moves, p.cannotWrite("sources to move")
	}
	lock, err := p.lockToWrite(chosen...)
	if err != nil {
		return moves, err
	}
	for _, s := range chosen {
		m, err := p.update(ctx, lock, s)
		if err != nil {
			return moves, err
		}
		moves = append(moves, m)
	}
	return moves, nil
}

// update moves one source. The files come before the lock: a lock that names a commit which could
// not be fetched would help nobody.
func (p *Project) update(ctx context.Context, lock *lockfile.File, s spec.Source) (SourceMove, error) {
	m := SourceMove{Path: s.Path, Git: s.Git, Ref: s.Ref}
	if old := lock.Source(s.Path); old != nil {
		m.From = old.Commit
	}
	tip, err := p.keeper().Tip(ctx, s)
	if err != nil {
		return m, err
	}
	if m.Ignored, err = p.ignoreSource(s); err != nil {
		return m, err
	}
	if _, err := p.placeSource(ctx, s, tip); err != nil {
		return m, err
	}
	m.Commit, m.Changed = tip, m.From != tip
	lock.SetSource(lockfile.Source{Path: s.Path, Git: s.Git, Ref: s.Ref, Commit: tip})
	return m, p.saveLock(lock)
}

// ignoreSource adds the line for a source to .gitignore, unless git ignores it already, and
// returns what was added.
func (p *Project) ignoreSource(s spec.Source) (line string, err error) {
	if p.repo == nil {
		return "", nil
	}
	if ignored, err := p.inputs.Ignored(s.Path, true); err != nil || ignored {
		return "", err
	}
	line = ignoreLine(s.Path) + "/"
	_, next, err := p.withLines(".gitignore", []string{line})
	if err == nil {
		err = p.write(".gitignore", []byte(next))
	}
	p.inputs.Forget()
	return line, err
}

// chosenSources returns the sources of these names, each once; all without names.
func (p *Project) chosenSources(names []string) (chosen []spec.Source, err error) {
	if len(names) == 0 {
		return p.spec.Sources, nil
	}
	for _, name := range names {
		s, ferr := p.spec.Source(p.sourceName(name))
		if ferr != nil {
			err = errors.Join(err, ferr)
			continue
		}
		if !slices.ContainsFunc(chosen, func(c spec.Source) bool { return c.Path == s.Path }) {
			chosen = append(chosen, *s)
		}
	}
	return chosen, err
}

// sourceName turns a path as the user writes it where pipe works into one of the project.
func (p *Project) sourceName(name string) string {
	if at, err := p.work.Inside(p.here("."), name); err == nil && slices.ContainsFunc(p.spec.Sources, func(s spec.Source) bool { return s.Path == at }) {
		return string(at)
	}
	return name
}
