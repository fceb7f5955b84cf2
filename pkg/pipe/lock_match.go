package pipe

import (
	"cmp"
	"context"
	"errors"
	"runtime"
	"slices"

	"github.com/pipe-build/pipe/internal/engine"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/lockfile"
)

// choice is a stage whose block is in question.
type choice struct {
	stage  *spec.Stage
	blocks []version // that may still be the one
	at     int       // which of them is in the lock
}

// version is a block that a side has.
type version struct {
	*lockfile.Stage
	text string
	from Side
}

// choiceOf collects the blocks of a stage that fit it. Of one key the latest rebuild comes first.
func (m *merging) choiceOf(s *spec.Stage) *choice {
	c := &choice{stage: s}
	for _, side := range []struct {
		from Side
		all  []*lockfile.File
	}{{Ours, m.ours}, {Theirs, m.theirs}} {
		for i, f := range side.all {
			l := f.Stage(s.Name)
			if !fits(m.p.spec, l) {
				continue
			}
			v := version{l, textOf(l), side.from}
			if i == 0 && textOf(m.ours[0].Stage(s.Name)) == textOf(m.theirs[0].Stage(s.Name)) {
				v.from = "" // git has merged it: whose it is, its own versions tell
			}
			at := slices.IndexFunc(c.blocks, func(b version) bool { return b.text == v.text })
			switch {
			case at < 0:
				c.blocks = append(c.blocks, v)
			case c.blocks[at].from == "":
				c.blocks[at].from = v.from
			case v.from != "" && v.from != c.blocks[at].from:
				c.blocks[at].from = Both
			}
		}
	}
	for i := range c.blocks {
		c.blocks[i].from = cmp.Or(c.blocks[i].from, Both)
	}
	slices.SortStableFunc(c.blocks, func(a, b version) int { return cmp.Compare(b.Generation, a.Generation) })
	return c
}

// match tries the blocks of stages until each has one whose key is that of the work tree, or none. Only
// the engine knows a stage's key, and only when what the stage needs is settled: so it decides about all
// of them, dry, as often as that settles another one.
func (m *merging) match(ctx context.Context, open []*choice) error {
	for {
		open = slices.DeleteFunc(open, func(c *choice) bool {
			if len(c.blocks) == 0 {
				m.drop(c, "no side was built from the files in the work tree")
				return true
			}
			m.lock.Set(*c.blocks[c.at].Stage)
			return false
		})
		if len(open) == 0 {
			return nil
		}
		keys, err := m.keys(ctx)
		if err != nil {
			return err
		}
		progress := false
		open = slices.DeleteFunc(open, func(c *choice) bool {
			key := keys[c.stage.Name]
			if key.IsZero() {
				return false
			}
			progress = true
			return m.tell(c, key)
		})
		if !progress && !another(open) {
			break
		}
	}
	for _, c := range open {
		m.drop(c, "what it needs must be built or restored first")
	}
	return nil
}

// another goes on to the next block of each stage whose key is not known: an input that is a part of
// another stage's output, or that a command prints, is known from the right block alone. It reports
// whether any has a next one.
func another(open []*choice) (any bool) {
	for _, c := range open {
		if c.at+1 < len(c.blocks) {
			c.at++
			any = true
		}
	}
	return any
}

// tell compares the block that is tried with the key that the stage has with it, and reports whether
// the stage is settled. A block with another key is out; one that has this key is tried next.
func (m *merging) tell(c *choice, key digest.Key) bool {
	if tried := c.blocks[c.at]; tried.Key == key {
		m.take(c, tried)
		return true
	}
	c.blocks, c.at = slices.Delete(c.blocks, c.at, c.at+1), 0
	if i := slices.IndexFunc(c.blocks, func(v version) bool { return v.Key == key }); i > 0 {
		c.blocks[0], c.blocks[i] = c.blocks[i], c.blocks[0]
	}
	return false
}

// take settles a stage. Two blocks of one key and generation with different outputs are no answer: the
// record says which of them counts.
func (m *merging) take(c *choice, v version) {
	for _, other := range c.blocks {
		if other.Key == v.Key && other.Generation == v.Generation && !slices.Equal(other.Outs, v.Outs) {
			m.drop(c, "both sides were built from these files, with different outputs")
			return
		}
	}
	m.took(Taken{Stage: c.stage.Name, From: v.from})
}

func (m *merging) drop(c *choice, why string) {
	m.lock.Keep(func(name string) bool { return name != c.stage.Name })
	m.took(Taken{Stage: c.stage.Name, From: Dropped, Why: why})
}

// keys returns the key of each build stage whose inputs are known, with the lock as it is so far. No remote
// is opened: a person who settles a merge may have no right to it.
func (m *merging) keys(ctx context.Context) (map[string]digest.Key, error) {
	p, emit := m.p, m.p.opt.Emit
	p.opt.Emit = nil // the same is said by the next pipe plan
	defer func() { p.opt.Emit = emit }()
	lock := &lockfile.File{Stages: slices.Clone(m.lock.Stages), Sources: slices.Clone(m.lock.Sources)}
	if err := p.lookAtSources(ctx, lock, nil); err != nil {
		return nil, err
	}
	e := p.localEngine(ctx, p.files(p.offline()), askNone, nil)
	r, err := e.Run(ctx, lock, engine.Options{Jobs: runtime.GOMAXPROCS(0), KeepGoing: true, NoDeploy: true, Dry: true})
	if r == nil || ctx.Err() != nil {
		return nil, err
	}
	keys := map[string]digest.Key{} // a stage that failed has none
	for _, o := range r.Stages {
		keys[o.Stage.Name] = o.Key
	}
	return keys, nil
}

// choose takes a block that no key decides about: an input's, since a person made it, and that of a
// frozen stage. It is not dropped where it can be taken, as nothing makes the bytes again: what only
// one side changed counts, else what lies in the workspace, else ours.
func (m *merging) choose(ctx context.Context, s *spec.Stage) error {
	c := m.choiceOf(s)
	ours := slices.IndexFunc(c.blocks, func(v version) bool { return v.from != Theirs })
	theirs := slices.IndexFunc(c.blocks, func(v version) bool { return v.from != Ours })
	switch {
	case len(c.blocks) == 0:
		m.drop(c, "no side has a block that fits it")
		return nil
	case ours < 0 || theirs < 0 || ours == theirs:
		m.put(c, max(ours, theirs), "")
		return nil
	}
	if m.base != nil {
		base := textOf(m.base.Stage(s.Name))
		switch base {
		case c.blocks[ours].text:
			m.put(c, theirs, "only they changed it")
			return nil
		case c.blocks[theirs].text:
			m.put(c, ours, "only we changed it")
			return nil
		}
	}
	here, err := m.lies(ctx, c.blocks[theirs].Stage)
	merged := textOf(m.ours[0].Stage(s.Name))
	switch {
	case err != nil:
		return err
	case m.base == nil && merged == c.blocks[theirs].text && merged == textOf(m.theirs[0].Stage(s.Name)):
		m.put(c, theirs, "git merged it")
	case here:
		m.put(c, theirs, "it matches the workspace")
	default:
		m.put(c, ours, "both sides changed it")
	}
	return nil
}

func (m *merging) put(c *choice, i int, why string) {
	m.lock.Set(*c.blocks[i].Stage)
	m.took(Taken{Stage: c.stage.Name, From: c.blocks[i].from, Why: why})
}

// lies reports whether all outputs of a block lie in the workspace.
func (m *merging) lies(ctx context.Context, l *lockfile.Stage) (bool, error) {
	for _, o := range l.Outs {
		here, _, err := m.p.work.Output(ctx, o.Path)
		if errors.Is(err, worktree.ErrAbsent) || err == nil && !here.Same(o) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
	return true, nil
}

// textOf is a block's text, "" for none: two that say the same are equal.
func textOf(s *lockfile.Stage) string {
	if s == nil {
		return ""
	}
	return string((&lockfile.File{Stages: []lockfile.Stage{*s}}).Encode())
}
