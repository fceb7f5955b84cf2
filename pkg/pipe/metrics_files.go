package pipe

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/gitlog"
	"github.com/pipe-build/pipe/internal/metrics"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/statindex"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/transfer"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// measured is a state of the project whose metrics are read: a commit, or the workspace.
type measured struct {
	*Project
	rev     string // as it was given; empty: the workspace
	commit  string // its hash
	project *spec.Project
	lock    *lockfile.File
	c       *transfer.Carrier

	files  []metricsFile // sorted by path
	absent []AbsentMetric
}

// metricsFile is one file that was read.
type metricsFile struct {
	Path, Stage string
	values      []metrics.Value
}

// measured opens a state.
func (p *Project) measured(ctx context.Context, rev string) (m *measured, err error) {
	m = &measured{Project: p, rev: rev, project: p.spec}
	if m.c, err = p.carry(ctx); err != nil {
		return nil, err
	}
	if rev == "" {
		m.lock, err = p.lock()
		return m, err
	}
	if m.project, m.lock, err = p.atRev(ctx, rev); err != nil {
		return nil, err
	}
	if m.commit, err = p.repo.Resolve(ctx, rev); err != nil {
		return nil, err
	}
	own, err := p.own(ctx, m.project)
	m.c = m.c.With(own)
	return m, err
}

func (m *measured) file(path string) (metricsFile, bool) {
	i := slices.IndexFunc(m.files, func(f metricsFile) bool { return f.Path == path })
	if i < 0 {
		return metricsFile{}, false
	}
	return m.files[i], true
}

func (m *measured) lacks(path string) bool {
	return slices.ContainsFunc(m.absent, func(a AbsentMetric) bool { return a.Path == path })
}

// metricsAt is where a file of metrics comes from.
type metricsAt struct {
	at    repopath.Path
	stage *spec.Stage // that makes it; nil: none
	out   spec.Out    // of the stage, that is the file or holds it
	some  bool        // nobody has named it: it counts if it can be read
}

// name is the stage's.
func (s metricsAt) name() string {
	if s.stage == nil {
		return ""
	}
	return s.stage.Name
}

// read reads all that the targets mean, and notes in meant which of them mean something; "" stands for
// the metrics of the project. Errors of single files come together.
func (m *measured) read(ctx context.Context, targets []string, meant map[string]bool) (failed error) {
	var all []metricsAt
	if len(targets) == 0 {
		for i := range m.project.Stages {
			all = append(all, ofSort(&m.project.Stages[i], spec.MetricOut)...)
		}
		if m.rev != "" && len(m.project.Stages) == 0 {
			all = append(all, m.older()...)
		}
		for _, at := range m.project.Metrics {
			all = append(all, m.source(at))
		}
		if len(all) > 0 {
			meant[""] = true
		}
	}
	for _, t := range targets {
		if s := m.project.Stage(t); s != nil {
			meant[t] = true
			all = append(all, ofStage(s)...)
		} else if at, err := m.work.Inside(m.opt.Dir, t); err == nil && m.mayHave(ctx, at) {
			meant[t] = true
			all = append(all, m.source(at))
		}
	}
	for _, s := range all {
		failed = errors.Join(failed, m.readAt(ctx, s))
	}
	slices.SortStableFunc(m.files, func(a, b metricsFile) int { return strings.Compare(a.Path, b.Path) })
	m.files = slices.CompactFunc(m.files, func(a, b metricsFile) bool { return a.Path == b.Path })
	return failed
}

// older returns today's metrics, for a commit from before there was a pipe.yaml, as in a project that
// came from DVC: git has those that it tracked then.
func (m *measured) older() (all []metricsAt) {
	for i := range m.spec.Stages {
		for _, s := range ofSort(&m.spec.Stages[i], spec.MetricOut) {
			all = append(all, metricsAt{at: s.at})
		}
	}
	return all
}

// source finds out what makes the file at a path.
func (m *measured) source(at repopath.Path) metricsAt {
	s, out := inside(m.project, at)
	return metricsAt{at: at, stage: s, out: out}
}

// ofSort returns the stage's outs of a sort.
func ofSort(s *spec.Stage, sort spec.OutSort) (all []metricsAt) {
	for _, o := range s.Outs {
		if o.Sort == sort {
			all = append(all, metricsAt{at: o.Path, stage: s, out: o})
		}
	}
	return all
}

// ofStage returns the metrics of a stage that is named, or where it has none what it makes that can be
// read.
func ofStage(s *spec.Stage) []metricsAt {
	all := ofSort(s, spec.MetricOut)
	if len(all) > 0 {
		return all
	}
	for _, o := range s.Outs {
		all = append(all, metricsAt{at: o.Path, stage: s, out: o, some: true})
	}
	return all
}

// mayHave reports whether something can be at a path: it is an output, or inside one, or a file that
// is there.
func (m *measured) mayHave(ctx context.Context, at repopath.Path) bool {
	if s, _ := inside(m.project, at); s != nil {
		return true
	}
	if m.rev == "" {
		kind, err := m.work.Kind(at)
		return err == nil && kind != statindex.IsDir
	}
	_, err := m.repo.FileAt(ctx, m.commit, m.inGit(at))
	return err == nil
}

// inGit is a path of the project as git has it.
func (m *measured) inGit(at repopath.Path) repopath.Path { return m.lockAt.Dir().Child(string(at)) }

// readAt reads the file that is meant, or those files below it that can be read.
func (m *measured) readAt(ctx context.Context, s metricsAt) (failed error) {
	below, err := m.below(ctx, s)
	if err != nil {
		return m.why(s.at, err)
	}
	for _, f := range below {
		if s.some && !metrics.Readable(f) {
			continue
		}
		data, err := m.content(ctx, metricsAt{at: f, stage: s.stage, out: s.out})
		if err != nil {
			failed = errors.Join(failed, m.why(f, err))
			continue
		}
		values, err := metrics.Read(f, data)
		if err != nil {
			failed = errors.Join(failed, m.saidAt(err))
			continue
		}
		m.files = append(m.files, metricsFile{string(f), s.name(), values})
	}
	return failed
}

// notThere is the reason why a state has no file at a path.
type notThere string

func (e notThere) Error() string { return string(e) }

// why notes a file that is not there; any other error is returned.
func (m *measured) why(at repopath.Path, err error) error {
	var gone notThere
	if !errors.As(err, &gone) {
		return m.saidAt(err)
	}
	m.absent = append(m.absent, AbsentMetric{string(at), m.rev, string(gone)})
	return nil
}

// saidAt names the commit in an error.
func (m *measured) saidAt(err error) error {
	if m.rev == "" {
		return err
	}
	return fmt.Errorf("%s: %w", m.rev, err)
}

// below returns the path, or the readable files of the directory there.
func (m *measured) below(ctx context.Context, s metricsAt) ([]repopath.Path, error) {
	one := []repopath.Path{s.at}
	if m.rev == "" {
		kind, err := m.work.Kind(s.at)
		switch {
		case err == nil && kind == statindex.IsDir:
			_, t, err := m.work.Output(ctx, s.at)
			return readable(s.at, t), err
		case err == nil:
			return one, nil
		}
	}
	switch {
	case s.stage == nil, m.rev == "" && s.out.NoCache:
		return one, nil
	case s.out.NoCache:
		return m.inCommit(ctx, s.at)
	}
	o, err := m.recorded(s)
	if err != nil || !o.Dir {
		return one, err
	}
	whole, err := m.c.Tree(ctx, o.Path, o.Digest)
	if err != nil {
		return nil, err
	}
	if t, is := whole.Sub(o.Path.Rel(s.at)); is {
		return readable(s.at, t), nil
	}
	return one, nil
}

// readable returns the files of a directory that can be read.
func readable(at repopath.Path, t *object.Tree) (files []repopath.Path) {
	for _, e := range t.Entries {
		if f := at.Child(string(e.Path)); e.IsFile() && metrics.Readable(f) {
			files = append(files, f)
		}
	}
	return files
}

// inCommit returns the file at a path that git keeps, or those below it.
func (m *measured) inCommit(ctx context.Context, at repopath.Path) (files []repopath.Path, err error) {
	names, err := m.repo.FilesAt(ctx, m.commit, m.inGit(at))
	for _, name := range names {
		if f := m.lockAt.Dir().Rel(name); f == at || metrics.Readable(f) {
			files = append(files, f)
		}
	}
	if len(names) == 0 && err == nil {
		err = notThere("git has no such file there")
	}
	return files, err
}

// recorded returns what the lock says of the output.
func (m *measured) recorded(s metricsAt) (artifact.Output, error) {
	l := m.lock.Stage(s.stage.Name)
	if !fits(m.project, l) {
		return artifact.Output{}, notThere(lockfile.FileName + " has no stage " + s.stage.Name)
	}
	return l.Outs[slices.IndexFunc(l.Outs, func(o artifact.Output) bool { return o.Path == s.out.Path })], nil
}

// content returns the bytes of a file.
func (m *measured) content(ctx context.Context, s metricsAt) ([]byte, error) {
	if m.rev == "" {
		data, err := atomicfile.Read(m.work.OS(s.at), metrics.MaxSize)
		if err == nil || !worktree.Gone(err) {
			return data, err
		}
	}
	switch {
	case s.stage != nil && !s.out.NoCache:
	case m.rev == "":
		return nil, notThere("no such file")
	default:
		data, err := m.repo.FileAt(ctx, m.commit, m.inGit(s.at))
		if errors.Is(err, gitlog.ErrNoFile) {
			err = notThere("git has no such file there")
		}
		return data, err
	}
	o, err := m.recorded(s)
	if err != nil {
		return nil, err
	}
	data, err := m.c.Content(ctx, o, s.at, metrics.MaxSize)
	if errors.Is(err, store.ErrNotFound) && !errors.As(err, new(*transfer.Missing)) {
		err = notThere("output " + string(o.Path) + " has no such file")
	}
	return data, err
}
