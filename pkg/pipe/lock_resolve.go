package pipe

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/gitlog"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Resolved is what LockResolve made of a pipe.lock.
type Resolved struct {
	Changed bool    `json:"changed"` // pipe.lock was written
	Settled bool    `json:"settled"` // git's index had a conflict there, which is resolved now
	Kept    int     `json:"kept"`    // stages and sources that were not in question
	Taken   []Taken `json:"taken"`   // the others

	Next string `json:"next,omitempty"` // the command that brings back the blocks of stages that were dropped
}

// Taken is what became of one block of pipe.lock that was in question.
type Taken struct {
	Stage  string `json:"stage,omitempty"`  // its stage or input
	Source string `json:"source,omitempty"` // or the path of its source
	From   Side   `json:"from"`             // whose block counts
	Why    string `json:"why,omitempty"`    // where it needs an explanation
}

// Side says whose block was taken. Git's words count: in a rebase, ours is the branch that the commits
// are put on.
type Side string

// The sides.
const (
	Ours    Side = "ours"
	Theirs  Side = "theirs"
	Both    Side = "both"    // they are equal
	Dropped Side = "dropped" // of neither; the next run takes the record of the inputs, or runs the stage
)

// LockResolve settles what a merge, rebase, cherry-pick or stash pop has left of pipe.lock: conflict
// markers, and blocks that are cut or doubled. Of each stage it takes the block of the side whose inputs
// are those in the work tree; where neither is, the block is dropped, and the next run finds the
// stage's record. It runs no command and asks no remote.
func (p *Project) LockResolve(ctx context.Context) (r *Resolved, err error) {
	h, err := p.hold(ctx, "lock resolve")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.Release()) }()
	data, err := atomicfile.Read(p.path(lockfile.FileName), lockfile.MaxSize)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	m := &merging{p: p, r: &Resolved{Taken: []Taken{}}, git: &gitlog.Sides{}, lock: &lockfile.File{}}
	if p.repo != nil {
		if m.git, err = p.repo.Sides(ctx, p.lockAt); err != nil {
			return nil, err
		}
	}
	whole, err := lockfile.Parse(lockfile.FileName, data)
	if err != nil {
		return nil, err
	}
	if !m.git.Unmerged && (data == nil || isCanonical(whole, data) && !p.hasMore(whole)) {
		m.r.Kept = len(whole.Stages) + len(whole.Sources)
		return m.r, nil
	}
	if p.readOnly != nil {
		return nil, p.cannotWrite("a pipe.lock to resolve")
	}
	if err := m.read(data, whole); err != nil {
		return nil, err
	}
	if err := m.settle(ctx); err != nil {
		return nil, err
	}
	return m.r, m.write(ctx, data)
}

// isCanonical reports whether data is what pipe writes for f, whatever line ends git has given it.
func isCanonical(f *lockfile.File, data []byte) bool {
	return bytes.Equal(bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")), f.Encode())
}

// hasMore reports whether a lock has blocks of what is not in pipe.yaml: a union brings back what one
// side has deleted.
func (p *Project) hasMore(lock *lockfile.File) bool {
	return slices.ContainsFunc(lock.Stages, func(l lockfile.Stage) bool { return !p.hasBlock(l.Name) }) ||
		slices.ContainsFunc(lock.Sources, func(l lockfile.Source) bool { return !p.hasSource(l.Path) })
}

// hasBlock reports whether pipe.yaml has a stage that pipe.lock may list.
func (p *Project) hasBlock(name string) bool {
	s := p.spec.Stage(name)
	return s != nil && !s.Deploy
}

func (p *Project) hasSource(at repopath.Path) bool {
	return slices.ContainsFunc(p.spec.Sources, func(s spec.Source) bool { return s.Path == at })
}

// merging is one call of LockResolve.
type merging struct {
	p    *Project
	r    *Resolved
	git  *gitlog.Sides
	lock *lockfile.File // what counts so far

	base         *lockfile.File // nil: not known
	ours, theirs []*lockfile.File
	absent       []lockfile.Absent
}

// read parses all versions of the lock. The file comes first: what is whole there on both sides, and
// equal, is not in question. A version of git's that cannot be read offers nothing.
func (m *merging) read(data []byte, whole *lockfile.File) error {
	ours, theirs, err := lockfile.Sides(lockfile.FileName, data)
	if err != nil {
		return err
	}
	m.ours, m.theirs, m.absent = []*lockfile.File{ours}, []*lockfile.File{theirs}, whole.Absent
	for _, b := range m.git.Ours {
		if f, err := lockfile.Parse(lockfile.FileName, b); err == nil {
			m.ours = append(m.ours, f)
		}
	}
	for _, b := range m.git.Theirs {
		if f, err := lockfile.Parse(lockfile.FileName, b); err == nil {
			m.theirs = append(m.theirs, f)
		}
	}
	if m.git.Base != nil {
		m.base, _ = lockfile.Parse(lockfile.FileName, m.git.Base)
	}
	return nil
}

// settle decides about all blocks: sources first, as stages read their files, then what no key
// decides about, then the stages.
func (m *merging) settle(ctx context.Context) error {
	if err := m.sources(); err != nil {
		return err
	}
	var open []*choice
	for _, name := range m.names() {
		declared := m.p.spec.Stage(name)
		switch {
		case !m.p.hasBlock(name):
			m.took(Taken{Stage: name, From: Dropped, Why: "pipe.yaml has no such build stage"})
		case m.agreed(name):
			m.r.Kept++
			m.lock.Set(*m.ours[0].Stage(name))
		case declared.Input || declared.Frozen:
			if err := m.choose(ctx, declared); err != nil {
				return err
			}
		default:
			open = append(open, m.choiceOf(declared))
		}
	}
	err := m.match(ctx, open)
	slices.SortStableFunc(m.r.Taken, func(a, b Taken) int { return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Stage, b.Stage)) })
	return err
}

// agreed reports whether a stage is not in question: the file has one block of it, and so have the two
// versions that git has merged. In a union a whole block may lie beside what is left of the other.
func (m *merging) agreed(name string) bool {
	want := textOf(m.ours[0].Stage(name))
	for _, side := range [][]*lockfile.File{m.ours, m.theirs} {
		for _, f := range side[:min(len(side), 2)] {
			if textOf(f.Stage(name)) != want {
				return false
			}
		}
	}
	return want != ""
}

// names are those of the stages that any side has a block of. What only git's versions have matters
// where pipe.yaml still has the stage.
func (m *merging) names() (names []string) {
	for i, f := range slices.Concat(m.ours, m.theirs) {
		inFile := i == 0 || i == len(m.ours)
		for _, s := range f.Stages {
			if inFile || m.p.spec.Stage(s.Name) != nil {
				names = append(names, s.Name)
			}
		}
	}
	for _, a := range m.absent {
		if s := m.p.spec.Stage(a.Stage); s != nil {
			names = append(names, a.Stage)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (m *merging) took(t Taken) { m.r.Taken = append(m.r.Taken, t) }

// write saves the lock, and then marks the conflict as resolved: should the second not come about,
// the same call does it again.
func (m *merging) write(ctx context.Context, before []byte) error {
	data := m.lock.Encode()
	if before == nil || !bytes.Equal(before, data) {
		if err := m.p.write(lockfile.FileName, data); err != nil {
			return err
		}
		m.r.Changed = true
	}
	if m.git.Others > 0 && slices.ContainsFunc(m.r.Taken, func(t Taken) bool { return t.From == Dropped }) {
		m.p.note(fmt.Sprintf("git still has conflicts in %s, so the blocks of stages that read them were dropped", view.Count(m.git.Others, "other file")))
	}
	if !m.git.Unmerged {
		return nil
	}
	err := m.p.repo.Settle(ctx, m.p.lockAt, data)
	m.r.Settled = err == nil
	return err
}
