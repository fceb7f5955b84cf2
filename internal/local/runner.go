package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/aside"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/inputs"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/shell"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Runner makes outputs from inputs by running commands on this machine. All
// fields but Tracked, IsInput and Hold must be set.
type Runner struct {
	*Workspace
	// Tracked returns which of the paths git tracks; nil: there is no git.
	Tracked func(ctx context.Context, paths []repopath.Path) ([]repopath.Path, error)
	// IsOut reports whether some stage makes this very path.
	IsOut func(repopath.Path) bool
	// IsInput reports whether it is an input of the project, which people change; nil: none is.
	IsInput func(repopath.Path) bool
	Hold    *Hold // commands inherit its lock, and its note names them
	Now     func() time.Time
	// Program is this program's file: deployments run below a shell.Keep of it. "": they do not.
	Program string
}

// Run runs the job's command. After an error the workspace is as it was but for reports, and
// what the command left in place of its other outputs lies below .pipe/partial. When ctx ends
// the command is stopped, and no process of it is left when Run returns.
//
// The old outputs stay aside until the caller has recorded the new ones and calls
// Settle. A kill before that leaves aside's note, and the next run puts the old outputs
// back: lock and workspace agree. The inputs are read again after the command and
// before the outputs are saved, so a result of changed inputs gets no name.
func (r *Runner) Run(ctx context.Context, job *action.Job) (*action.Made, error) {
	if job.Fresh {
		return r.fresh(ctx, job)
	}
	if err := r.refuseTracked(ctx, job); err != nil {
		return nil, err
	}
	for _, o := range job.Made {
		if err := r.refuseEdited(ctx, job, o); err != nil {
			return nil, err
		}
		if _, err := r.Place(ctx, job.Stage.Name, o, job.Made); err != nil {
			return nil, err
		}
	}
	old, persist, err := r.makeRoom(ctx, job)
	if err != nil {
		return nil, err
	}
	made := &action.Made{Settle: func(recorded bool) error {
		if recorded {
			return old.Drop()
		}
		return r.putBack(ctx, job, old)
	}}
	made.Seconds, err = r.attempts(ctx, job, func(keep *shell.Keep) (float64, error) {
		if err := errors.Join(r.ready(ctx, job, persist), r.makeWdir(job.Stage)); err != nil {
			return 0, err
		}
		return r.command(ctx, job, keep, r.Work.Root(), r.Hold.file(), r.Work.OS(worktree.Dir+"/"+worktree.Tmp))
	})
	if err == nil {
		err = r.recheck(ctx, job)
	}
	if err == nil {
		made.Outs, err = r.saveOuts(ctx, job)
	}
	if err != nil {
		return nil, errors.Join(err, r.putBack(ctx, job, old))
	}
	return made, nil
}

// refuseEdited keeps pipe from overwriting an input of the project that somebody has changed since
// the run looked at it: an output could be made again, this edit could not.
func (r *Runner) refuseEdited(ctx context.Context, job *action.Job, o artifact.Output) error {
	if r.IsInput == nil || !r.IsInput(o.Path) {
		return nil
	}
	here, _, err := r.Work.Output(ctx, o.Path)
	if errors.Is(err, worktree.ErrAbsent) || err == nil && here.Same(o) {
		return nil
	}
	if err != nil {
		return err
	}
	return diag.New(diag.Stage, "%s: input %s changed while pipe ran", job.Stage.Name, o.Path).At(job.Stage.Place).Hinted("run pipe repro again")
}

// fresh runs the command in a directory that holds the job's inputs alone, copied from
// the cache; each attempt has its own. What the user edits in the project meanwhile cannot get into it, so
// nothing is read again afterwards. It has no outputs, so there is nothing to settle.
func (r *Runner) fresh(ctx context.Context, job *action.Job) (made *action.Made, err error) {
	made = &action.Made{Settle: func(bool) error { return nil }}
	made.Seconds, err = r.attempts(ctx, job, func(keep *shell.Keep) (float64, error) { return r.inFresh(ctx, job, keep) })
	return made, err
}

// inFresh is one attempt.
func (r *Runner) inFresh(ctx context.Context, job *action.Job, keep *shell.Keep) (seconds float64, err error) {
	dir, err := newFresh(ctx, r.Work)
	if err != nil {
		return 0, err
	}
	defer dir.discard()
	const top = "work"
	if err := r.Work.BuildTree(ctx, r.Cache, dir.Dir, top, job.Inputs); err != nil {
		return 0, err
	}
	root := filepath.Join(top, filepath.FromSlash(string(job.Under)))
	if err := dir.MkdirAll(filepath.Join(root, filepath.FromSlash(string(job.Stage.Wdir))), 0o777); err != nil {
		return 0, err
	}
	hold := r.Hold.file()
	if hold == nil {
		hold = dir.file()
	}
	return r.command(ctx, job, keep, filepath.Join(dir.Name(), root), hold, dir.Name())
}

// refuseTracked keeps pipe from overwriting what git keeps: two owners of one file would
// undo each other's work. Outputs with cache: false are meant to be in git.
func (r *Runner) refuseTracked(ctx context.Context, job *action.Job) error {
	var paths []repopath.Path
	for _, o := range job.Stage.Outs {
		if !o.NoCache {
			paths = append(paths, o.Path)
		}
	}
	if r.Tracked == nil || len(paths) == 0 {
		return nil
	}
	tracked, err := r.Tracked(ctx, paths)
	if err != nil || len(tracked) == 0 {
		return err
	}
	return diag.New(diag.Policy, "%s: git tracks the output %s, which would be overwritten", job.Stage.Name, tracked[0]).At(job.Stage.Place).
		Hinted("stop tracking it (git rm -r --cached %s), or keep it only in git ({path: %s, cache: false})", tracked[0], tracked[0])
}

// makeRoom moves the stage's old outputs aside, and returns the persistent ones, for copies of them in their
// places. The originals lie aside, so that a failure or a kill costs nothing. Reports are not moved: after
// a failure the newest counts, and an old one that came back would say that all is well. Keep comes
// before: from then on the cache has all bytes that are at stake.
func (r *Runner) makeRoom(ctx context.Context, job *action.Job) (*aside.Outs, map[repopath.Path]artifact.Output, error) {
	var paths []repopath.Path
	persist := map[repopath.Path]artifact.Output{}
	for _, o := range job.Stage.Outs {
		here, err := r.kept(ctx, job, o)
		if err != nil && !errors.Is(err, worktree.ErrAbsent) {
			return nil, nil, err
		}
		if o.Report {
			continue
		}
		paths = append(paths, o.Path)
		if o.Persist && err == nil {
			persist[o.Path] = here
		}
	}
	old, err := aside.Move(r.Work, job.Stage.Name, paths)
	return old, persist, err
}

// kept puts into the cache what lies at an output, and returns it. A report of a failed run is
// in no lock, and is not an edit that somebody should be told about.
func (r *Runner) kept(ctx context.Context, job *action.Job, o spec.Out) (artifact.Output, error) {
	if o.Report {
		return r.Work.Save(ctx, r.Cache, o.Path)
	}
	here, _, err := r.Work.Output(ctx, o.Path)
	if err == nil {
		err = r.Keep(ctx, job.Stage.Name, here, job.Recorded)
	}
	return here, err
}

// clear removes what lies at p, and makes the directory above it: a command may expect it.
func (r *Runner) clear(p repopath.Path) error {
	in, err := r.Work.MakeHolder(p)
	if err != nil {
		return err
	}
	return errors.Join(in.RemoveAll(p.Base()), in.Close())
}

// putBack restores the old outputs after a failure and says what was kept. A report stays where
// the command left it, unless it cannot be an output (a named pipe, for example), which no later run
// could read.
func (r *Runner) putBack(ctx context.Context, job *action.Job, old *aside.Outs) error {
	partial, err := old.Restore()
	ctx = context.WithoutCancel(ctx) // the end of the run may be the failure
	for _, o := range job.Stage.Outs {
		if !o.Report {
			continue
		}
		if _, _, rerr := r.Work.Output(ctx, o.Path); rerr != nil && !errors.Is(rerr, worktree.ErrAbsent) {
			left, serr := old.Spoil(o.Path)
			if err = errors.Join(err, serr); left != "" {
				partial = append(partial, left)
			}
		}
	}
	for _, p := range partial {
		r.Note(job.Stage.Name, "the partial outputs of the failed run are in "+p)
	}
	return err
}

// makeWdir makes the working directory if it is not there: git keeps no directory in which only
// outputs lie. Nothing is made in another stage's output, which would not be that output any more.
func (r *Runner) makeWdir(s *spec.Stage) error {
	if _, err := os.Stat(r.Work.OS(s.Wdir)); !errors.Is(err, fs.ErrNotExist) {
		return nil // whatever else is wrong with it, the command says
	}
	for p := s.Wdir; p != repopath.Root; p = p.Dir() {
		if r.IsOut(p) && !slices.ContainsFunc(s.Outs, func(o spec.Out) bool { return o.Path == p }) {
			return nil
		}
	}
	in, err := r.Work.MakeHolder(s.Wdir.Child("-"))
	if err != nil {
		return err
	}
	return in.Close()
}

// written names the files of a directory or glob that are new or different now: they are the
// command's own as a rule, and whoever is to take them out of deps must know them.
func written(was *object.Tree, d spec.Dep, now *object.Tree) (files []string) {
	if was == nil || now == nil || d.Top { // outside of the project no command is meant to write
		return nil
	}
	top := d.Path
	if d.Glob != "" {
		top = repopath.Root
	}
	for _, e := range now.Entries {
		at := top.Child(string(e.Path))
		if old, ok := was.Find(at); at != top && (!ok || old.Kind != e.Kind || old.Digest != e.Digest) {
			files = append(files, string(at))
		}
	}
	return files
}

// recheck reads the inputs again: the key was made before the command ran, and a result
// of other inputs must not be recorded under it. An input that is gone has changed, too.
// A change that is taken back before the command ends is not seen.
func (r *Runner) recheck(ctx context.Context, job *action.Job) error {
	var changed, files []string
	for _, read := range job.Reads {
		now, tree, err := r.ReadDep(ctx, read.Dep, job.Stage.Excludes, inputs.Made{Is: r.IsOut, Inside: read.Inside})
		if err != nil && !diag.Is(err, diag.Usage) {
			return err
		}
		if err != nil || now.Digest != read.Was.Digest || now.Exec != read.Was.Exec {
			changed = append(changed, read.Dep.Name())
			files = append(files, written(job.Inputs, read.Dep, tree)...)
		}
	}
	for _, o := range job.Made {
		here, _, err := r.Work.Output(ctx, o.Path)
		if err != nil && !errors.Is(err, worktree.ErrAbsent) {
			return err
		}
		if err != nil || !here.Same(o) {
			changed = append(changed, string(o.Path))
		}
	}
	for _, o := range job.Above {
		here, _, err := r.Top.Work.Output(ctx, o.Path)
		if err != nil && !errors.Is(err, worktree.ErrAbsent) {
			return err
		}
		if err != nil || !here.Same(o) {
			changed = append(changed, artifact.AtTop+string(o.Path))
		}
	}
	values, err := r.Params(ctx, job.Stage, job.Made)
	if err != nil && !diag.Is(err, diag.Usage) {
		return err
	}
	if err != nil || !slices.Equal(values, job.Params) {
		changed = append(changed, "params")
	}
	if len(changed) == 0 {
		return nil
	}
	which := ""
	if len(files) > 0 {
		slices.Sort(files)
		files = slices.Compact(files) // several deps may hold one
		if n := len(files) - 5; n > 0 {
			files = append(files[:5], fmt.Sprintf("and %d more", n))
		}
		which = ": " + strings.Join(files, ", ")
	}
	return diag.New(diag.Stage, "%s: %s changed while the command ran, so the result is not recorded%s", job.Stage.Name, strings.Join(changed, ", "), which).
		At(job.Stage.Place).Hinted("run pipe repro again; if the command itself writes there, remove that path from deps")
}
