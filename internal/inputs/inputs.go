// Package inputs reads what a stage depends on: files, directories and globs.
//
// A Reader turns a spec.Dep into an artifact.Input, whose digest goes into the
// stage's key, and into the tree of files behind it. package worktree does the
// reading; this package decides what counts, by a view of its own:
//
//   - ignore rules, .git, pipe's own files and the stage's exclusions leave out;
//   - a path that another stage makes is left out, too, and the recorded digest
//     stands in its place (adr/0001), so that a clone without outputs has the
//     same keys as one with them;
//   - what is named itself counts, ignored or not (adr/0005);
//   - empty directories never count (adr/0006);
//   - links count by what is behind them (adr/0011).
//
// The same commit must give the same digest in every clone: nothing here may
// depend on the order of a directory, a clock, or what earlier runs left behind.
package inputs

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/ignore"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/statindex"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Made is what a Reader must know of stages' outs to read a dep.
type Made struct {
	// Is reports whether some stage makes this very path.
	Is func(repopath.Path) bool
	// Inside are the outs that count for the dep: those below a directory, or
	// named by a glob. What they are recorded to be stands for them, whatever
	// lies on the disk. Sorted by path.
	Inside []artifact.Output
}

// Reader reads deps that no stage makes. All methods may be called from many goroutines.
// It remembers what ignore files said on the way down to a dep, until Forget; a scan
// reads those of the directories that it goes through each time.
type Reader struct {
	work    *worktree.Work
	rules   *ignore.Rules   // above the root
	known   sync.Map        // repopath.Path -> ruled: what was read of ignore files
	sources func() []Source // nil: there are none
	ran     atomic.Bool     // a command ran since the sources were looked at
	inner   repopath.Path   // the project, when work is the whole git repository around it; else empty
}

// New returns a reader of a workspace. The rules are those that hold at its root
// before the root's own files are read; nil: nothing is ignored.
func New(w *worktree.Work, rules *ignore.Rules) *Reader { return &Reader{work: w, rules: rules} }

// Outside returns a reader of what lies outside a project: work is the git repository that it is
// in, and inner is its directory there. Nothing in the project is read, and, by whatever symlink,
// nothing outside the repository.
func Outside(w *worktree.Work, rules *ignore.Rules, inner repopath.Path) *Reader {
	return &Reader{work: w, rules: rules, inner: inner}
}

// Read returns the state of a dep. The list is nil for a file; for a directory its
// paths are relative to it, for a glob to the repository, and an out directory
// inside it is one Nested entry. A missing dep is a diag.Usage error.
func (r *Reader) Read(ctx context.Context, d spec.Dep, exclude []repopath.Pattern, made Made) (artifact.Input, *object.Tree, error) {
	if d.Top {
		// An exclude is a pattern in the project.
		exclude, made.Is = nil, func(p repopath.Path) bool { return p == r.inner }
		if err := r.confined(d.Base(), d.Place); err != nil {
			return artifact.Input{}, nil, err
		}
	}
	if s := r.source(d.Base()); s != nil {
		return r.readSource(ctx, s, d, exclude, made)
	}
	if d.Glob != "" {
		return r.glob(ctx, d, exclude, made)
	}
	k, err := r.work.Kind(d.Path)
	here := !errors.Is(err, worktree.ErrAbsent)
	switch {
	case !here && len(made.Inside) == 0:
		return artifact.Input{}, nil, diag.New(diag.Usage, "dependency %s does not exist, and no stage creates it", d.Name()).At(d.Place).
			Hinted("create it, correct its name, or add it to the outs of the stage that creates it")
	case here && err != nil:
		return artifact.Input{}, nil, err
	case here && k == statindex.IsFile:
		return r.file(ctx, d)
	case here && k != statindex.IsDir:
		return artifact.Input{}, nil, diag.New(diag.Failed, "is neither a file nor a directory").At(string(d.Path))
	}
	return r.dir(ctx, d, exclude, made, here)
}

// kindOf is the kind of a dep that turned out to be of a sort.
func kindOf(d spec.Dep, k artifact.Kind) artifact.Kind {
	if d.Top {
		return k.Top()
	}
	return k
}

// confined refuses what leads out of the git repository, which other clones do not have, or back
// into the project, where an output counts by its record and not as it lies there.
func (r *Reader) confined(p repopath.Path, place string) error {
	real, err := filepath.EvalSymlinks(r.work.OS(p))
	if err != nil {
		return nil //nolint:nilerr // what is absent, or cannot be read, is reported by who reads it
	}
	to, ok := r.project(real)
	if ok && r.inner.Holds(to) {
		return diag.New(diag.Usage, "%s%s leads back into the project, to %s", artifact.AtTop, p, r.inner.Rel(to)).At(place).Hinted("add %s to deps instead", r.inner.Rel(to))
	}
	if !ok {
		return diag.New(diag.Usage, "%s%s leads to %s, outside the git repository", artifact.AtTop, p, real).At(place).
			Hinted("copy it into the repository, so that every clone has it")
	}
	return nil
}

// file reads a dep that is a file. No ignore rule is asked: it was named.
func (r *Reader) file(ctx context.Context, d spec.Dep) (artifact.Input, *object.Tree, error) {
	if d.Dir {
		return artifact.Input{}, nil, diag.New(diag.Usage, "dependency %s/ is a file, not a directory", d.Name()).At(d.Place).Hinted("remove the slash at its end")
	}
	e, err := r.work.File(ctx, d.Path)
	return artifact.Input{Path: d.Path, Kind: kindOf(d, artifact.OneFile), Exec: e.Kind == object.Executable, Digest: e.Digest, Size: e.Size}, nil, err
}

// dir reads a dep that is a directory; here is false when it only exists as the place
// of recorded outs.
func (r *Reader) dir(ctx context.Context, d spec.Dep, exclude []repopath.Pattern, made Made, here bool) (artifact.Input, *object.Tree, error) {
	t := &object.Tree{}
	above, ignored, err := r.rulesAt(d.Path)
	if err != nil {
		return artifact.Input{}, nil, err
	}
	// An ignored directory that is named as a dep counts, as it was asked for;
	// but one that holds outs is where builds leave things: only the outs count.
	if here && !(ignored && len(made.Inside) > 0) {
		t, err = r.scan(ctx, d.Path, &view{Reader: r, top: d.Path, rules: above, isOut: made.Is, exclude: exclude})
		if err != nil {
			return artifact.Input{}, nil, err
		}
	}
	addMade(t, d.Path, made.Inside)
	return t.Input(d.Path, kindOf(d, artifact.Dir)), t, nil
}

// glob reads the files below the pattern's fixed part that it names. That part need not
// exist: a fresh clone may have nothing but recorded outs there. No file at all is an
// error, as it mostly is a spelling mistake.
func (r *Reader) glob(ctx context.Context, d spec.Dep, exclude []repopath.Pattern, made Made) (artifact.Input, *object.Tree, error) {
	base := d.Glob.Base()
	above, _, err := r.rulesAt(base)
	if err != nil {
		return artifact.Input{}, nil, err
	}
	t, err := r.scan(ctx, base, &view{Reader: r, top: base, rules: above, isOut: made.Is, exclude: exclude, only: d.Glob})
	none := slices.ContainsFunc(exclude, func(x repopath.Pattern) bool { return x.MatchAbove(base) })
	if none || errors.Is(err, worktree.ErrAbsent) {
		t, err = &object.Tree{}, nil
	}
	if err != nil {
		return artifact.Input{}, nil, err
	}
	for i := range t.Entries {
		t.Entries[i].Path = base.Child(string(t.Entries[i].Path))
	}
	addMade(t, repopath.Root, made.Inside)
	if len(t.Entries) == 0 {
		return artifact.Input{}, nil, diag.New(diag.Usage, "dependency %s matches no file", d.Name()).At(d.Place).
			Hinted("correct the pattern (it does not match files that git ignores)")
	}
	return t.Input(repopath.Path(d.Glob), kindOf(d, artifact.Glob)), t, nil
}

// addMade puts recorded outs into a list of paths relative to top. The scan has left
// those paths out, so none is twice. An out that is a directory is one entry, with the
// digest of its tree, so that the tree need not be here. Its size is left out: the
// digest says it all.
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
