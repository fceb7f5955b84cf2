package pipe

import (
	"fmt"
	"slices"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/pkg/lockfile"
)

// sources takes of each source of pipe.yaml the commit that was locked for what pipe.yaml says.
func (m *merging) sources() error {
	for _, s := range m.p.spec.Sources {
		if l := m.ours[0].Source(s.Path); m.agreedSource(s, l) {
			m.r.Kept++
			m.lock.SetSource(*l)
			continue
		}
		t, l, err := m.source(s)
		if err != nil {
			return err
		}
		if l != nil {
			m.lock.SetSource(*l)
		}
		if t.From != "" {
			m.took(t)
		}
	}
	for _, f := range []*lockfile.File{m.ours[0], m.theirs[0]} {
		for _, s := range f.Sources {
			gone := Taken{Source: string(s.Path), From: Dropped, Why: "pipe.yaml has no such source"}
			if !m.p.hasSource(s.Path) && !slices.Contains(m.r.Taken, gone) {
				m.took(gone)
			}
		}
	}
	return nil
}

// agreedSource is agreed for a source.
func (m *merging) agreedSource(s spec.Source, want *lockfile.Source) bool {
	for _, side := range [][]*lockfile.File{m.ours, m.theirs} {
		for _, f := range side[:min(len(side), 2)] {
			if l := f.Source(s.Path); want == nil || l == nil || *l != *want {
				return false
			}
		}
	}
	return true
}

// source decides about a source that is in question. Its block is never dropped because two of them fit:
// without one, the next run would lock a commit that nobody chose.
func (m *merging) source(s spec.Source) (t Taken, l *lockfile.Source, err error) {
	ours, theirs := sourceIn(m.ours, s), sourceIn(m.theirs, s)
	t = Taken{Source: string(s.Path), From: Ours}
	switch {
	case ours == nil && theirs == nil:
		return m.unlocked(s)
	case ours == nil:
		t.From = Theirs
		return t, theirs, nil
	case theirs == nil:
		return t, ours, nil
	}
	// The file comes first on both sides, where git has merged it; what git had before tells whose it is.
	if len(m.ours) > 1 && len(m.theirs) > 1 {
		if o, r := sourceIn(m.ours[1:], s), sourceIn(m.theirs[1:], s); o != nil && r != nil {
			ours, theirs = o, r
		}
	}
	var base *lockfile.Source
	if m.base != nil {
		base = m.base.Source(s.Path)
	}
	merged, other := m.ours[0].Source(s.Path), m.theirs[0].Source(s.Path)
	switch {
	case *ours == *theirs:
		t.From = Both
	case base != nil && *base == *ours:
		t.From, t.Why = Theirs, "only they moved it"
	case base != nil && *base == *theirs:
		t.Why = "only we moved it"
	case base == nil && merged != nil && other != nil && *merged == *other && *merged == *theirs:
		t.From, t.Why = Theirs, "git merged it"
	default:
		t.Why = fmt.Sprintf("they have %.12s; pipe update %s locks the newest commit", theirs.Commit, s.Path)
	}
	if t.From == Theirs {
		return t, theirs, nil
	}
	return t, ours, nil
}

// unlocked decides about a source of which no side has a block for what pipe.yaml says. One that was
// never locked is not spoken of.
func (m *merging) unlocked(s spec.Source) (t Taken, l *lockfile.Source, err error) {
	for _, a := range m.absent {
		if f := (&lockfile.File{Absent: []lockfile.Absent{a}}); f.AbsentSource(s.Path) != nil {
			return t, nil, diag.New(diag.Policy, "no locked commit of source %s can be read: %s", s.Path, a.Why).At(fmt.Sprintf("%s:%d", lockfile.FileName, a.Line)).
				Hinted("pipe update %s locks the newest commit; then run pipe lock resolve again", s.Path)
		}
	}
	if m.ours[0].Source(s.Path) != nil || m.theirs[0].Source(s.Path) != nil {
		t = Taken{Source: string(s.Path), From: Dropped, Why: "pipe.yaml has another git or ref; the next run locks its newest commit"}
	}
	return t, nil, nil
}

// sourceIn returns the first block that was locked for what pipe.yaml says of a source.
func sourceIn(all []*lockfile.File, s spec.Source) *lockfile.Source {
	for _, f := range all {
		if l := f.Source(s.Path); l != nil && l.Git == s.Git && l.Ref == s.Ref {
			return l
		}
	}
	return nil
}
