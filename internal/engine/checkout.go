package engine

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Checkout says in what git's work tree differs from the commit though nobody changed a file. It
// is asked only for stages that are not skipped, so it costs nothing in a run in which
// nothing changed. All paths are relative to one directory.
type Checkout interface {
	// LeftOut returns the files that git tracks and a sparse checkout leaves out.
	LeftOut(ctx context.Context) ([]repopath.Path, error)
	// Widen returns the command that brings what lies at a path into the work tree.
	Widen(p repopath.Path) string
	// Pointers returns those of the files that are Git LFS pointers, and not what these stand for.
	Pointers(ctx context.Context, files []object.Entry) ([]repopath.Path, error)
}

// checkedOut refuses inputs that are in the commit and not in the work tree. A key over what is
// left would be another one than in a full clone, and what is made of it would be wrong, and be
// everybody's as soon as it is published: no flag allows it. Such a stage has no verdict.
func (r *run) checkedOut(ctx context.Context, st *state, in *gathered) (err error) {
	if r.Checkout == nil || st.Verdict.Do == event.Skip || st.Verdict.Do == event.Frozen || st.Verdict.Do == event.Omit {
		return nil
	}
	defer func() {
		if err != nil {
			st.Verdict = action.Verdict{}
		}
	}()
	for _, read := range in.reads {
		if err := r.sparse(ctx, st.Stage, read.Dep); err != nil {
			return err
		}
	}
	if err := r.refusePointers(ctx, st.Stage, r.Checkout, r.sourceFiles(in, false), ""); err != nil {
		return err
	}
	return r.refusePointers(ctx, st.Stage, r.Around, r.sourceFiles(in, true), artifact.AtTop)
}

// refusePointers refuses files of which only the pointer is here; before stands before their
// paths. Where there is no git, there are none.
func (r *run) refusePointers(ctx context.Context, s *spec.Stage, c Checkout, files []object.Entry, before repopath.Path) error {
	if c == nil {
		return nil
	}
	pointers, err := c.Pointers(ctx, files)
	if err != nil || len(pointers) == 0 {
		return err
	}
	hint := "git lfs pull"
	if before == "" && r.Inputs.InSource(pointers[0]) {
		hint = "pipe does not fetch Git LFS files of a source; leave it out of deps"
	}
	for i := range pointers {
		pointers[i] = before + pointers[i]
	}
	return diag.New(diag.Policy, "%s: %s: Git LFS has not fetched the content, only its pointer is here", s.Name, some(pointers)).
		At(s.Place).Hinted("%s", hint)
}

// sourceFiles are the files among the inputs that no stage makes, of the project with paths from
// its root, or those outside with paths from the repository's top.
func (r *run) sourceFiles(in *gathered, outside bool) (files []object.Entry) {
	es := entries{}
	for _, src := range in.sources {
		if src.outside == outside {
			es.add(src.top, r.ownFiles(src))
		}
	}
	for _, e := range es.tree().Entries {
		if e.IsFile() {
			files = append(files, e)
		}
	}
	return files
}

// sparse is the error that a sparse checkout leaves out files that a dep names.
func (r *run) sparse(ctx context.Context, s *spec.Stage, d spec.Dep) error {
	checkout, reader, top := r.Checkout, r.Inputs, d.Base()
	if d.Top {
		checkout, reader = r.Around, r.Top.Inputs
	}
	// What was named itself counts, ignored or not.
	named, err := reader.Ignored(top, true)
	if err != nil {
		return err
	}
	return leftOut(ctx, checkout, d.Place, top, func(p repopath.Path) (bool, error) {
		if _, made := r.outs.holder(p); made && !d.Top || !s.Takes(d, p) {
			return false, nil
		}
		ignored, err := reader.Ignored(p, false)
		return !ignored || named || p == d.Path, err
	})
}

// leftOut is the error that a sparse checkout leaves out files for which takes is true. They are
// at top, or lie below it.
func leftOut(ctx context.Context, c Checkout, place string, top repopath.Path, takes func(repopath.Path) (bool, error)) error {
	if c == nil {
		return nil
	}
	out, err := c.LeftOut(ctx)
	if err != nil {
		return err
	}
	var files []repopath.Path
	for _, p := range out {
		if !top.Holds(p) {
			continue
		}
		ok, err := takes(p)
		if err != nil {
			return err
		}
		if ok {
			files = append(files, p)
		}
	}
	if len(files) == 0 {
		return nil
	}
	return diag.New(diag.Policy, "git's sparse-checkout leaves out %s", some(files)).At(place).Hinted("%s", c.Widen(top))
}

// orSparse returns the error that a sparse checkout leaves out what was not found at a path, or
// else err.
func (e *Engine) orSparse(ctx context.Context, err error, place string, top repopath.Path) error {
	var fault *diag.Error
	if !errors.As(err, &fault) || fault.Kind != diag.Usage {
		return err
	}
	if sparse := leftOut(ctx, e.Checkout, place, top, func(repopath.Path) (bool, error) { return true, nil }); sparse != nil {
		return sparse
	}
	return err
}

// some names the first few paths.
func some(paths []repopath.Path) string {
	var names []string
	for _, p := range slices.Sorted(slices.Values(paths)) {
		names = append(names, string(p))
	}
	return strings.Join(view.Few(names, 3), ", ")
}
