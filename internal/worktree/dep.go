package worktree

import (
	"context"
	"errors"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/gitlog"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Made is what a workspace must know of stages' outs to read a dep.
type Made struct {
	// Is reports whether some stage makes this very path.
	Is func(repopath.Path) bool
	// Inside are the outs that count for the dep: those below a directory, or
	// named by a glob. What they are recorded to be stands for them, whatever
	// lies on the disk. Sorted by path.
	Inside []artifact.Output
}

// Dep reads an input that no stage makes. The tree is nil for a file; for a
// directory its paths are relative to it, for a glob to the repository, and an
// out directory inside it is one Nested entry. A missing dep is a diag.Usage error.
func (w *Work) Dep(ctx context.Context, d spec.Dep, exclude []repopath.Pattern, made Made) (artifact.Input, *object.Tree, error) {
	if d.Glob != "" {
		return w.globDep(ctx, d, exclude, made)
	}
	_, k, err := statPath(w.OS(d.Path))
	if err = absent(d.Path, err); err != nil && !(errors.Is(err, ErrAbsent) && len(made.Inside) > 0) {
		if errors.Is(err, ErrAbsent) {
			err = diag.New(diag.Usage, "dep %s is not there, and no stage makes it", d.Path).At(d.Place).
				Hinted("create it, correct its name, or name it in the outs of the stage that makes it")
		}
		return artifact.Input{}, nil, err
	}
	if err == nil && k == kindFile {
		return w.fileDep(ctx, d)
	}
	if err == nil && k != kindDir {
		return artifact.Input{}, nil, diag.New(diag.Failed, "is neither a file nor a directory").At(string(d.Path))
	}
	return w.dirDep(ctx, d, exclude, made, err == nil)
}

func (w *Work) fileDep(ctx context.Context, d spec.Dep) (artifact.Input, *object.Tree, error) {
	if d.Dir {
		return artifact.Input{}, nil, diag.New(diag.Usage, "dep %s/ is a file, not a directory", d.Path).At(d.Place).Hinted("write it without the slash")
	}
	sum, st, err := w.file(ctx, d.Path, nil)
	return artifact.Input{Path: d.Path, Exec: st.exec(), Digest: sum, Size: st.size}, nil, err
}

func (w *Work) dirDep(ctx context.Context, d spec.Dep, exclude []repopath.Pattern, made Made, here bool) (artifact.Input, *object.Tree, error) {
	t := &object.Tree{}
	above, ignored, err := w.rulesAbove(d.Path)
	if err != nil {
		return artifact.Input{}, nil, err
	}
	// An ignored directory that is named as a dep counts, as it was asked for;
	// but one that holds outs is where builds leave things: only the outs count.
	if here && !(ignored && len(made.Inside) > 0) {
		t, err = w.scan(ctx, scan{top: d.Path, rules: above, isOut: made.Is, exclude: exclude})
		if err != nil {
			return artifact.Input{}, nil, err
		}
	}
	addMade(t, d.Path, made.Inside)
	return t.Input(d.Path, artifact.Dir), t, nil
}

func (w *Work) globDep(ctx context.Context, d spec.Dep, exclude []repopath.Pattern, made Made) (artifact.Input, *object.Tree, error) {
	base := d.Glob.Base()
	above, _, err := w.rulesAbove(base)
	if err != nil {
		return artifact.Input{}, nil, err
	}
	t, err := w.scan(ctx, scan{top: base, rules: above, isOut: made.Is, exclude: exclude, only: d.Glob})
	if errors.Is(err, ErrAbsent) {
		t, err = &object.Tree{}, nil
	}
	if err != nil {
		return artifact.Input{}, nil, err
	}
	addMade(t, repopath.Root, made.Inside)
	if len(t.Entries) == 0 {
		return artifact.Input{}, nil, diag.New(diag.Usage, "dep %s names no file", d.Glob).At(d.Place).
			Hinted("correct the pattern; files that git ignores do not count")
	}
	return t.Input(repopath.Path(d.Glob), artifact.Glob), t, nil
}

func addMade(t *object.Tree, top repopath.Path, outs []artifact.Output) {
	for _, o := range outs {
		e := object.Entry{Kind: object.File, Path: top.Rel(o.Path), Digest: o.Digest, Size: o.Size}
		switch {
		case o.Dir:
			e.Kind, e.Size = object.Nested, 0
		case o.Exec:
			e.Kind = object.Executable
		}
		t.Entries = append(t.Entries, e)
	}
	t.Sort()
}

// Forget drops what is remembered of ignore files: a command may have changed them.
func (w *Work) Forget() { w.rules.Clear() }

// Ignored reports whether git or a .pipeignore ignores the path, or a directory
// on the way to it.
func (w *Work) Ignored(p repopath.Path, isDir bool) (bool, error) {
	rules, ignored, err := w.rulesAbove(p)
	if err != nil || rules == nil || isDir {
		return ignored, err
	}
	known, _ := w.rules.Load(p.Dir())
	return known.(above).ignored || rules.Match(p.Base(), false), nil
}

// above is what rulesAbove knows of a directory.
type above struct {
	rules   *gitlog.Rules
	ignored bool // the directory itself is
}

// rulesAbove returns the ignore rules that hold in the directory above p, and
// whether they ignore p as a directory, or a directory on the way to it.
func (w *Work) rulesAbove(p repopath.Path) (*gitlog.Rules, bool, error) {
	if p == repopath.Root || w.opt.Rules == nil {
		return w.opt.Rules, false, nil
	}
	dir := p.Dir()
	known, ok := w.rules.Load(dir)
	if !ok {
		rules, ignored, err := w.rulesAbove(dir)
		if err != nil {
			return nil, false, err
		}
		inside, err := w.enter(rules, dir, nil)
		if err != nil {
			return nil, false, err
		}
		known, _ = w.rules.LoadOrStore(dir, above{inside, ignored})
	}
	a := known.(above)
	return a.rules, a.ignored || a.rules.Match(p.Base(), true), nil
}
