package pipe

import (
	"context"
	"errors"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/dag"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/dvc"
	"github.com/pipe-build/pipe/internal/gitlog"
	"github.com/pipe-build/pipe/internal/ignore"
	"github.com/pipe-build/pipe/internal/shell"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/event"
)

// Projects are the projects below one directory, each after those that it depends on, else
// sorted by path. Each has a pipe.yaml, a pipe.lock and a .pipe of its own.
type Projects struct {
	all   []*Project
	graph *dag.Graph // who needs whom, by place in all
	emit  func(event.Event)
}

// Dir returns the directory of a project that OpenAll opened, relative to where it looked, with
// slashes: "." or "services/web".
func (p *Project) Dir() string { return p.opt.name }

// OpenAll opens every project in and below Options.Dir, but for those in directories that git
// ignores and in repositories of their own. It reports the faults of all of them at once.
func OpenAll(ctx context.Context, opt Options) (*Projects, error) {
	top, err := filepath.Abs(opt.Dir)
	if err == nil {
		top, err = filepath.EvalSymlinks(top)
	}
	if err != nil {
		return nil, diag.New(diag.Usage, "look for projects: %w", err)
	}
	dirs, err := projectsBelow(top, opt)
	if err != nil {
		return nil, err
	}
	if len(dirs) == 0 {
		if _, err := os.Stat(filepath.Join(top, dvc.StagesFile)); err == nil {
			return nil, noProject(top, top)
		}
		return nil, diag.New(diag.Usage, "no %s in this directory or below it that git does not ignore", spec.FileName).At(top).Hinted("pipe init")
	}
	ps := &Projects{emit: opt.Emit}
	for _, dir := range dirs {
		root := filepath.Join(top, filepath.FromSlash(dir))
		p, oerr := Open(ctx, opt.of(root, dir))
		if oerr != nil {
			err = errors.Join(err, inProject(dir, root, oerr))
			continue
		}
		ps.all = append(ps.all, p)
	}
	if err == nil {
		err = ps.sort()
	}
	if err != nil {
		return nil, errors.Join(err, ps.Close())
	}
	return ps, nil
}

// of returns the options for the project at root, whose events name it. What the user has
// written is still relative to where they are. An event that another project has passed on keeps
// its name.
func (o Options) of(root, name string) Options {
	o.root, o.name = root, name
	if emit := o.Emit; emit != nil {
		o.Emit = func(e event.Event) {
			if e.Project == "" {
				e.Project = name
			}
			emit(e)
		}
	}
	return o
}

// Close closes all projects.
func (ps *Projects) Close() (err error) {
	for _, p := range ps.all {
		err = errors.Join(err, p.Close())
	}
	return err
}

// Each calls f for each project, in their order. An error that is only work to do (kind pending)
// stops nothing; after another one no project is begun, or with keepGoing none that depends on
// the one that failed. skipped is told of those, and by which one; nil: not. The error has those
// of all projects, the first failure first.
func (ps *Projects) Each(ctx context.Context, keepGoing bool, f func(*Project) error, skipped func(p *Project, failed string)) error {
	var failures, pending []error
	failed := make([]string, len(ps.all))
	for i, p := range ps.all {
		for _, u := range ps.graph.Up(i) {
			if failed[u] != "" {
				failed[i] = failed[u]
			}
		}
		if ctx.Err() != nil && len(failures) == 0 {
			failures = append(failures, shell.Interrupted(context.Cause(ctx)))
		}
		if failed[i] != "" || ctx.Err() != nil || len(failures) > 0 && !keepGoing {
			if skipped != nil {
				skipped(p, failed[i])
			}
			continue
		}
		err := inProject(p.opt.name, p.root, f(p))
		switch {
		case diag.Is(err, diag.Pending):
			pending = append(pending, err)
		case err != nil:
			failures = append(failures, err)
			failed[i] = p.opt.name
		}
	}
	return errors.Join(append(failures, pending...)...)
}

// Repro brings the stages of all projects up to date, as Project.Repro does each. One summary
// counts them all, and one question is asked.
func (ps *Projects) Repro(ctx context.Context, opt ReproOptions) (total event.Counts, err error) {
	var once sync.Once
	var refused error
	confirm := opt.Confirm
	err = ps.Each(ctx, opt.KeepGoing, func(p *Project) error {
		if confirm != nil {
			opt.Confirm = func(d Deployment) error {
				if p.opt.name != "." {
					d.Stage = p.opt.name + ":" + d.Stage
				}
				once.Do(func() { refused = confirm(d) })
				return refused
			}
		}
		r, err := p.repro(ctx, opt)
		if r != nil {
			total = total.Plus(r.Counts)
		}
		return err
	}, func(p *Project, failed string) {
		for i := range p.spec.Stages {
			s := &p.spec.Stages[i]
			if opt.NoDeploy && s.Deploy {
				continue
			}
			total.Not++
			if failed != "" {
				p.emit(event.Event{
					Type: event.Decided, Stage: s.Name, Deploy: s.Deploy, Check: s.Check, Verb: event.Blocked,
					Because: []event.Reason{{Code: event.NeedFailed, Path: failed}},
				})
			}
		}
	})
	if ps.emit != nil {
		ps.emit(event.Event{Schema: event.Schema, Type: event.Summary, Counts: &total})
	}
	return total, err
}

// projectsBelow returns the directories in and below top that have a pipe.yaml, sorted, relative
// and with slashes.
func projectsBelow(top string, opt Options) ([]string, error) {
	rules := ignore.NoRepoRules()
	repo, err := gitlog.Open(top, gitlog.Options{Env: opt.withDefaults().Environ})
	switch {
	case err == nil:
		at, err := repo.Rel(filepath.Join(top, spec.FileName))
		if err != nil {
			return nil, err
		}
		above := ignore.Repo{Root: repo.Root(), GitDir: repo.GitDir(), CommonDir: repo.CommonDir(), Env: opt.withDefaults().Environ}
		if rules, err = above.Rules(at.Dir()); err != nil {
			return nil, err
		}
	case !errors.Is(err, gitlog.ErrNoRepo):
		return nil, err
	}
	var dirs []string
	if err := walk(top, ".", "", rules, &dirs); err != nil {
		return nil, err
	}
	slices.Sort(dirs)
	return slices.DeleteFunc(dirs, func(dir string) bool { // a part of another project
		at := filepath.Join(top, filepath.FromSlash(dir))
		return including(at) != at
	}), nil
}

// maxIgnore is the largest ignore file in bytes that is read.
const maxIgnore = 16 << 20

// walk adds the projects in dir and below it. name is the directory's own name; the rules are
// those above it. Symlinks are not followed, as git does not.
func walk(top, dir, name string, rules *ignore.Rules, dirs *[]string) error {
	entries, err := os.ReadDir(filepath.Join(top, filepath.FromSlash(dir)))
	if err != nil {
		return err
	}
	var files [][]byte
	for _, e := range entries {
		switch {
		case e.Name() == ".git" && dir != ".":
			return nil // a repository of its own, with projects of its own
		case e.Name() == ".gitignore" && e.Type().IsRegular():
			b, err := atomicfile.Read(filepath.Join(top, filepath.FromSlash(dir), e.Name()), maxIgnore)
			if err != nil {
				return err
			}
			files = append(files, b)
		}
	}
	rules = rules.Enter(name, files)
	for _, e := range entries {
		switch {
		case e.IsDir() && e.Name() != ".git" && e.Name() != worktree.Dir && !rules.Match(e.Name(), true):
			if err := walk(top, path.Join(dir, e.Name()), e.Name(), rules, dirs); err != nil {
				return err
			}
		case e.Name() == spec.FileName && !e.IsDir() && !rules.Match(e.Name(), false):
			*dirs = append(*dirs, dir)
		}
	}
	return nil
}

// inProject says in which project an error is. A place in it becomes one that leads there from
// where the user is.
func inProject(dir, root string, err error) error {
	if err == nil || dir == "." {
		return err
	}
	var list diag.List
	for _, e := range diag.All(err) {
		in := *e
		in.Err = e
		file, _, _ := strings.Cut(e.Place, ":")
		_, there := os.Lstat(filepath.Join(root, filepath.FromSlash(file)))
		switch {
		case e.Place == "":
			in.Place = dir
		case !filepath.IsAbs(file) && there == nil:
			in.Place = dir + "/" + e.Place
		default:
			in.What = dir + ": " + e.What
		}
		list = append(list, &in)
	}
	return list
}
