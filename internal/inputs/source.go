package inputs

import (
	"context"
	"slices"
	"sync"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/ignore"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/statindex"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Source is a directory whose files come from another git repository. Each of them is an input of
// who names it, whatever ignore rules here or there say, and nothing else in the directory is:
// what a build leaves there is no part of the commit.
type Source struct {
	Path    repopath.Path
	Tree    *object.Tree    // of the commit; nil: it is yet to be fetched
	Omitted []repopath.Path // submodules of the commit, relative to Path: their files are not here
	Looked  bool            // the files were compared with the commit a moment ago, and are its files

	dirs  map[repopath.Path]bool
	links bool // the commit has symlinks
}

// Unfetched says that a dep lies in a source that is yet to be fetched.
type Unfetched struct{ Source repopath.Path }

// Error says so.
func (e *Unfetched) Error() string { return "source " + string(e.Source) + " must be fetched first" }

// SetSources says which sources there are, and what of them: load is called when that is first
// asked for. No Read may go on meanwhile.
func (r *Reader) SetSources(load func() []Source) {
	r.ran.Store(false)
	r.sources = sync.OnceValue(func() []Source {
		all := load()
		for i := range all {
			all[i].index()
		}
		return all
	})
}

// index finds the directories of the commit.
func (s *Source) index() {
	s.dirs = map[repopath.Path]bool{repopath.Root: true}
	if s.Tree == nil {
		return
	}
	for _, e := range s.Tree.Entries {
		s.links = s.links || e.Kind == object.Symlink
		for p := e.Path.Dir(); !s.dirs[p]; p = p.Dir() {
			s.dirs[p] = true
		}
	}
}

// source returns the source that a path is or lies in, nil when there is none.
func (r *Reader) source(p repopath.Path) *Source {
	if r.sources == nil {
		return nil
	}
	all := r.sources()
	for i := range all {
		if all[i].Path.Holds(p) {
			return &all[i]
		}
	}
	return nil
}

// InSource reports whether a path of the project is a source, or lies in one.
func (r *Reader) InSource(p repopath.Path) bool { return r.source(p) != nil }

// rulesAt is above for a dep: in a source there are no rules.
func (r *Reader) rulesAt(p repopath.Path) (*ignore.Rules, bool, error) {
	if r.InSource(p) {
		return nil, false, nil
	}
	return r.above(p)
}

// Executable says whether a file of a source is executable, and whether p is one: for file systems
// that do not keep it.
func (r *Reader) Executable(p repopath.Path) (exec, known bool) {
	s := r.source(p)
	if s == nil || s.Tree == nil {
		return false, false
	}
	e, known := s.Tree.Find(s.Path.Rel(p))
	return e.Kind == object.Executable, known
}

// sees reports whether what lies at p is of the commit.
func (s *Source) sees(p repopath.Path, k statindex.Kind) bool {
	at := s.Path.Rel(p)
	if k == statindex.IsDir {
		return s.dirs[at]
	}
	_, ok := s.Tree.Find(at)
	return ok
}

// readSource is Read for a dep in a source.
func (r *Reader) readSource(ctx context.Context, s *Source, d spec.Dep, exclude []repopath.Pattern, made Made) (artifact.Input, *object.Tree, error) {
	if s.Tree == nil {
		return artifact.Input{}, nil, &Unfetched{s.Path}
	}
	if err := s.whole(d, exclude); err != nil {
		return artifact.Input{}, nil, err
	}
	base := s.Path.Rel(d.Base())
	_, file := s.Tree.Find(base)
	switch {
	case d.Glob != "":
		return r.glob(ctx, d, exclude, made)
	case file && !d.Dir:
		if k, err := r.work.Kind(d.Path); err != nil || k != statindex.IsDir { // a symlink may be to one
			return r.file(ctx, d)
		}
	case file:
		return r.file(ctx, d)
	case !s.dirs[base]:
		return artifact.Input{}, nil, diag.New(diag.Usage, "dependency %s is not in the commit of source %s", d.Name(), s.Path).At(d.Place).
			Hinted("correct its name, or run pipe update %s", s.Path)
	}
	return r.dir(ctx, d, exclude, made, true)
}

// scan reads a directory. In a source that was looked at, and in which no command may have written
// since, the commit itself says what a scan would find: no file is looked at twice. A symlink
// counts by what is behind it, which the commit need not have.
func (r *Reader) scan(ctx context.Context, top repopath.Path, v *view) (*object.Tree, error) {
	s := r.source(top)
	if s == nil || !s.Looked || s.links || r.ran.Load() || !s.dirs[s.Path.Rel(top)] {
		return r.work.Scan(ctx, top, v)
	}
	t, base, entered := &object.Tree{}, s.Path.Rel(top), map[repopath.Path]bool{top: true}
	for _, e := range s.Tree.Entries {
		if !base.Holds(e.Path) || !v.enters(s.Path.Child(string(e.Path)).Dir(), entered) {
			continue
		}
		if ok, err := v.Sees(s.Path.Child(string(e.Path)), statindex.IsFile); err != nil || !ok {
			continue
		}
		e.Path = base.Rel(e.Path)
		t.Entries = append(t.Entries, e)
	}
	t.Sort()
	return t, nil
}

// enters reports whether a scan comes into a directory below its top. known has what was found out.
func (v *view) enters(dir repopath.Path, known map[repopath.Path]bool) bool {
	is, ok := known[dir]
	if !ok {
		sees, err := v.Sees(dir, statindex.IsDir)
		is = err == nil && sees && v.enters(dir.Dir(), known)
		known[dir] = is
	}
	return is
}

// whole refuses a dep that reaches into a submodule.
func (s *Source) whole(d spec.Dep, exclude []repopath.Pattern) error {
	for _, at := range s.Omitted {
		p := s.Path.Child(string(at))
		reached := d.Glob == "" && (d.Path.Holds(p) || p.Holds(d.Path)) || d.Glob != "" && d.Glob.Reaches(p)
		if !reached || slices.ContainsFunc(exclude, func(x repopath.Pattern) bool { return x.MatchAbove(p) }) {
			continue
		}
		return diag.New(diag.Policy, "dependency %s includes %s, a git submodule, and pipe does not fetch submodules", d.Name(), p).At(d.Place).
			Hinted("leave it out: add \"!%s\" to deps", p)
	}
	return nil
}
