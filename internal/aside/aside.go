// Package aside keeps a stage's old outs out of the way while its command runs.
//
// A command must not see the outputs of the last run, and a failed one must not
// cost them. So Move renames them into .pipe/aside/run-*, Drop removes them when
// the new ones are recorded, and Restore puts them back when they are not. A note
// in the same directory says what was moved, so that Recover can do what Restore
// would have done, after a kill.
//
// What a kill leaves, by the order of the steps:
//
//   - before the note is whole: a directory in which nothing lies; it is removed;
//   - between the note and Drop: the note, and what was moved so far; Recover puts
//     it back, and what the command made goes to .pipe/partial;
//   - in Drop, after its first step: a directory without a note; it is removed.
//
// All moves are renames, so each is done whole or not at all. They are not synced: after
// a power cut the cache still has the bytes, because local saves them before it calls Move.
// Whoever calls Recover holds the workspace's lock.
package aside

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/folder"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Outs are a stage's old outs, moved out of the way. Its exported fields are the note
// beside them, as JSON, which lets a later run put them back after a kill.
type Outs struct {
	w     *worktree.Work
	dir   *worktree.Temp
	Stage string `json:"stage"` // that makes them
	Moved []out  `json:"outs"`  // in the order of the moves
}

// out is one path of a stage and where its old bytes are.
type out struct {
	Path repopath.Path `json:"path"`
	Kept string        `json:"kept"` // name inside the aside directory; "" when nothing lay there
}

const noteName = "note.json"

// The directories in pipe's own one: one for each Move, and one for each stage's rest.
const (
	top     = "aside"
	partial = "partial"
)

// Move moves what lies at the paths into pipe's own directory. The caller ends
// with Restore or Drop. After an error everything is where it was, unless the error
// says that it could not be put back.
func Move(w *worktree.Work, stage string, paths []repopath.Path) (*Outs, error) {
	a := &Outs{w: w, Stage: stage}
	for i, p := range paths {
		o := out{Path: p}
		there, err := lies(w, p)
		if err != nil {
			return nil, err
		}
		if there {
			o.Kept = strconv.Itoa(i)
		}
		a.Moved = append(a.Moved, o)
	}
	note, err := json.Marshal(a)
	if err == nil {
		a.dir, err = w.Temp(top, "run-")
	}
	if err != nil {
		return nil, err
	}
	// The note before the moves: whatever was moved can be put back after a kill.
	// It need not survive a power cut: the recorded bytes are in the cache.
	if err := a.dir.WriteFile(noteName, note, 0o666); err != nil {
		a.dir.Discard()
		return nil, err
	}
	for i, o := range a.Moved {
		if err := a.move(o); err != nil {
			// The others were not moved: Restore would take what lies at their paths for
			// the command's. This one may have been: Restore looks.
			if o.Kept != "" {
				i++
			}
			a.Moved = a.Moved[:i]
			_, rerr := a.Restore()
			return nil, errors.Join(err, rerr)
		}
	}
	return a, nil
}

// lies reports whether something lies at a path, which must not lead through a symlink.
func lies(w *worktree.Work, p repopath.Path) (bool, error) {
	in, err := w.Holder(p)
	if worktree.Gone(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { _ = in.Close() }()
	return has(in, p.Base())
}

func has(in folder.Dir, name string) (bool, error) {
	_, err := in.Lstat(name)
	if worktree.Gone(err) {
		return false, nil
	}
	return err == nil, err
}

// move renames one old output, if there was one, and makes the directory above it: a
// command may expect it.
func (a *Outs) move(o out) error {
	in, err := a.w.MakeHolder(o.Path)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	if o.Kept == "" {
		return nil
	}
	return in.Move(o.Path.Base(), a.dir.Dir, o.Kept)
}

// Restore puts the old outs back. What the command left in their place is kept
// below .pipe/partial/STAGE, in place of what an earlier attempt left there, and
// those paths are returned. Restore may be called again after an error or a kill: an
// output that was put back is in the aside directory no more, and is passed over. Only
// what the first call kept below .pipe/partial is lost then.
func (a *Outs) Restore() (left []string, err error) {
	if err := a.dropPartial(); err != nil {
		return nil, err
	}
	for _, o := range a.Moved {
		if o.Kept != "" {
			moved, err := has(a.dir.Dir, o.Kept)
			if err != nil {
				return left, err
			}
			if !moved {
				continue // it was put back already, or the run was killed before it was moved
			}
		}
		at, err := a.clear(o.Path)
		if at != "" {
			left = append(left, at)
		}
		if err == nil && o.Kept != "" {
			err = a.putBack(o)
		}
		if err != nil {
			return left, err
		}
	}
	return left, a.Drop()
}

// Spoil moves what lies at p, where nothing was moved aside, to what Restore keeps of a failed
// run, and returns its new place.
func (a *Outs) Spoil(p repopath.Path) (left string, err error) { return a.clear(p) }

// dropPartial removes what an earlier attempt left.
func (a *Outs) dropPartial() error {
	dir, stage := path.Split(a.Stage)
	in, err := a.w.Own(path.Join(partial, dir))
	if err != nil {
		return goneIsNil(err)
	}
	a.w.Discard(in, stage)
	return in.Close()
}

// putBack renames one old output to its path, where clear has left nothing.
func (a *Outs) putBack(o out) error {
	in, err := a.w.MakeHolder(o.Path)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	if err := a.dir.Move(o.Kept, in, o.Path.Base()); err != nil {
		return fmt.Errorf("restore %s: %w", o.Path, err)
	}
	return nil
}

// clear moves what lies at p to .pipe/partial/STAGE, or the file or symlink that
// stands where a directory above p should be: nothing is read or written through it.
// It looks from the root down, so a symlink is found before any path through it is
// used. left is the new place, relative to the project's root.
func (a *Outs) clear(p repopath.Path) (left string, err error) {
	above := []repopath.Path{p}
	for d := p.Dir(); d != repopath.Root; d = d.Dir() {
		above = append(above, d)
	}
	for _, d := range slices.Backward(above) {
		in, err := a.w.Holder(d)
		if err != nil {
			return "", goneIsNil(err)
		}
		defer func() { _ = in.Close() }()
		info, err := in.Lstat(d.Base())
		if err != nil {
			return "", goneIsNil(err)
		}
		if d == p || !info.IsDir() {
			return a.setPartial(in, d)
		}
	}
	return "", nil
}

func goneIsNil(err error) error {
	if worktree.Gone(err) {
		return nil
	}
	return err
}

// setPartial moves what lies at p, in its directory, and returns its new place relative to
// the root.
func (a *Outs) setPartial(in folder.Dir, p repopath.Path) (string, error) {
	at := path.Join(partial, a.Stage, string(p))
	to, err := a.w.MakeOwn(path.Dir(at))
	if err != nil {
		return "", err
	}
	defer func() { _ = to.Close() }()
	if err := in.Move(p.Base(), to, p.Base()); err != nil {
		return "", err
	}
	return path.Join(worktree.Dir, at), nil
}

// Drop removes the old outs: the new ones are in the cache, or they were put back.
func (a *Outs) Drop() error {
	// The note goes first: without it, Recover removes the rest after a kill, and what
	// cannot be removed does no harm. The other way round it would put back what is left of
	// the old outputs over the new ones.
	if err := a.dir.Remove(noteName); err != nil {
		return err
	}
	a.dir.Discard()
	return nil
}

// Recover cleans up after a run that was killed: outs that it had moved aside
// are put back, and temporary files go. The caller holds the workspace's lock
// and has made sure that no command of that run still works. It returns the
// stages whose outs were put back, and for the others what became of theirs, in
// words. It may itself be killed and called again.
func Recover(w *worktree.Work) (stages, kept []string, err error) {
	err = each(w, top, func(in folder.Dir, name string) error {
		if !strings.HasPrefix(name, "run-") {
			return nil
		}
		stage, left, err := recoverOne(w, in, name)
		switch {
		case left != "":
			kept = append(kept, left)
		case stage != "":
			stages = append(stages, stage)
		}
		return err
	})
	if err != nil {
		return stages, kept, err
	}
	return stages, kept, each(w, worktree.Tmp, func(in folder.Dir, name string) error {
		w.Discard(in, name)
		return nil
	})
}

// each calls f for each name in one of pipe's own directories.
func each(w *worktree.Work, own string, f func(in folder.Dir, name string) error) error {
	in, err := w.Own(own)
	if err != nil {
		return goneIsNil(err)
	}
	defer func() { _ = in.Close() }()
	list, err := in.List()
	if err != nil {
		return err
	}
	for _, e := range list {
		if err := f(in, e.Name()); err != nil {
			return err
		}
	}
	return nil
}

// recoverOne does it for one directory of Move. A note that is absent or not valid
// was cut off before the first move, or removed by Drop: there is nothing to put back. A
// power cut may also have taken it; then the cache has the bytes.
func recoverOne(w *worktree.Work, in folder.Dir, name string) (stage, left string, err error) {
	dir, err := w.Reopen(top, name)
	if worktree.Gone(err) {
		w.Discard(in, name) // a file
		return "", "", nil
	}
	if err != nil {
		return "", "", err
	}
	a := &Outs{w: w, dir: dir}
	note, err := atomicfile.Files{Root: dir}.Read(noteName, atomicfile.MaxNote)
	switch {
	case err != nil && !worktree.Gone(err):
		return "", "", errors.Join(err, dir.Close())
	case err != nil || json.Unmarshal(note, a) != nil || !a.valid():
		dir.Discard()
		return "", "", nil
	}
	if _, err = a.Restore(); err == nil {
		return a.Stage, "", nil
	}
	defer func() { _ = dir.Close() }()
	// No later run may fail for the same reason: the directory gets a name that Recover
	// does not look at, and the user is told where it is.
	kept := "kept-" + name
	left = fmt.Sprintf("%s: could not restore the previous outputs (%v); they are in %s", a.Stage, err, path.Join(worktree.Dir, top, kept))
	return a.Stage, left, dir.Keep(kept)
}

// valid reports whether the note is one that Move writes: it may come from anywhere,
// and says what is moved where.
func (a *Outs) valid() bool {
	if _, err := repopath.Parse(a.Stage); err != nil || !artifact.IsStageName(a.Stage) {
		return false
	}
	for i, o := range a.Moved {
		if _, err := repopath.Parse(string(o.Path)); err != nil || o.Kept != "" && o.Kept != strconv.Itoa(i) {
			return false
		}
	}
	return true
}
