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
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Outs are a stage's old outs, moved out of the way. Its exported fields are the note
// beside them, as JSON, which lets a later run put them back after a kill.
type Outs struct {
	w     *worktree.Work
	dir   string
	Stage string `json:"stage"` // that makes them
	Moved []out  `json:"outs"`  // in the order of the moves
}

// out is one path of a stage and where its old bytes are.
type out struct {
	Path repopath.Path `json:"path"`
	Kept string        `json:"kept"` // name inside the aside directory; "" when nothing lay there
}

const noteName = "note.json"

// top is the directory that holds one directory for each Move.
func top(w *worktree.Work) string { return filepath.Join(w.Root(), worktree.Dir, "aside") }

// Move moves what lies at the paths into pipe's own directory. The caller ends
// with Restore or Drop. After an error everything is where it was, unless the error
// says that it could not be put back.
func Move(w *worktree.Work, stage string, paths []repopath.Path) (*Outs, error) {
	a := &Outs{w: w, Stage: stage}
	for i, p := range paths {
		if err := w.Guard(p); err != nil {
			return nil, err
		}
		o := out{Path: p}
		there, err := lies(w.OS(p))
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
		err = os.MkdirAll(top(w), 0o777)
	}
	if err == nil {
		a.dir, err = os.MkdirTemp(top(w), "run-*")
	}
	if err != nil {
		return nil, err
	}
	// The note before the moves: whatever was moved can be put back after a kill.
	// It need not survive a power cut: the recorded bytes are in the cache.
	if err := os.WriteFile(filepath.Join(a.dir, noteName), note, 0o666); err != nil {
		return nil, errors.Join(err, os.RemoveAll(a.dir))
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

// lies reports whether something lies at a path.
func lies(path string) (bool, error) {
	_, err := os.Lstat(path)
	if worktree.Gone(err) {
		return false, nil
	}
	return err == nil, err
}

// move renames one old output, if there was one, and makes the directory above it: a
// command may expect it.
func (a *Outs) move(o out) error {
	if o.Kept != "" {
		if err := os.Rename(a.w.OS(o.Path), filepath.Join(a.dir, o.Kept)); err != nil {
			return err
		}
	}
	return os.MkdirAll(filepath.Dir(a.w.OS(o.Path)), 0o777)
}

// Restore puts the old outs back. What the command left in their place is kept
// below .pipe/partial/STAGE, in place of what an earlier attempt left there, and
// those paths are returned. Restore may be called again after an error or a kill: an
// output that was put back is in the aside directory no more, and is passed over. Only
// what the first call kept below .pipe/partial is lost then.
func (a *Outs) Restore() (partial []string, err error) {
	if err := os.RemoveAll(a.partial()); err != nil {
		return nil, err
	}
	for _, o := range a.Moved {
		if o.Kept != "" {
			moved, err := lies(filepath.Join(a.dir, o.Kept))
			if err != nil {
				return partial, err
			}
			if !moved {
				continue // it was put back already, or the run was killed before it was moved
			}
		}
		left, err := a.clear(o.Path)
		if left != "" {
			partial = append(partial, left)
		}
		if err == nil && o.Kept != "" {
			err = a.putBack(o)
		}
		if err != nil {
			return partial, err
		}
	}
	return partial, os.RemoveAll(a.dir)
}

// putBack renames one old output to its path, where clear has left nothing.
func (a *Outs) putBack(o out) error {
	to := a.w.OS(o.Path)
	if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(a.dir, o.Kept), to); err != nil {
		return fmt.Errorf("restore %s: %w", o.Path, err)
	}
	return nil
}

// partial is where Restore puts what the command left.
func (a *Outs) partial() string { return filepath.Join(a.w.Root(), worktree.Dir, "partial", a.Stage) }

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
		info, err := os.Lstat(a.w.OS(d))
		if worktree.Gone(err) {
			return "", nil
		}
		if err != nil {
			return "", err
		}
		if d == p || !info.IsDir() {
			return a.setPartial(d)
		}
	}
	return "", nil
}

// setPartial moves what lies at p, and returns its new place relative to the root.
func (a *Outs) setPartial(p repopath.Path) (string, error) {
	to := filepath.Join(a.partial(), filepath.FromSlash(string(p)))
	if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
		return "", err
	}
	if err := os.Rename(a.w.OS(p), to); err != nil {
		return "", err
	}
	return filepath.Rel(a.w.Root(), to)
}

// Drop removes the old outs: the new ones are in the cache.
func (a *Outs) Drop() error {
	// The note goes first: without it, Recover removes the rest after a kill. The other
	// way round it would put back what is left of the old outputs over the new ones.
	if err := os.Remove(filepath.Join(a.dir, noteName)); err != nil {
		return err
	}
	return os.RemoveAll(a.dir)
}

// Recover cleans up after a run that was killed: outs that it had moved aside
// are put back, and temporary files go. The caller holds the workspace's lock
// and has made sure that no command of that run still works. It returns the
// stages whose outs were put back. It may itself be killed and called again.
func Recover(w *worktree.Work) (stages []string, err error) {
	dirs, err := os.ReadDir(top(w))
	if err != nil && !worktree.Gone(err) {
		return nil, err
	}
	for _, d := range dirs {
		if !strings.HasPrefix(d.Name(), "run-") {
			continue
		}
		stage, err := recoverOne(&Outs{w: w, dir: filepath.Join(top(w), d.Name())})
		if stage != "" {
			stages = append(stages, stage)
		}
		if err != nil {
			return stages, err
		}
	}
	tmp, err := os.ReadDir(w.Tmp())
	if err != nil && !worktree.Gone(err) {
		return stages, err
	}
	for _, t := range tmp {
		if err := os.RemoveAll(filepath.Join(w.Tmp(), t.Name())); err != nil {
			return stages, err
		}
	}
	return stages, nil
}

// recoverOne does it for one directory of Move. A note that is absent or not valid
// was cut off before the first move, or removed by Drop: there is nothing to put back. A
// power cut may also have taken it; then the cache has the bytes.
func recoverOne(a *Outs) (stage string, err error) {
	note, err := atomicfile.Read(filepath.Join(a.dir, noteName), atomicfile.MaxNote)
	if err != nil && !worktree.Gone(err) {
		return "", err
	}
	if err != nil || json.Unmarshal(note, a) != nil || !a.valid() {
		return "", os.RemoveAll(a.dir)
	}
	_, err = a.Restore()
	if err == nil {
		return a.Stage, nil
	}
	// No later run may fail for the same reason: the directory gets a name that Recover
	// does not look at, and the user is told where it is.
	kept := filepath.Join(filepath.Dir(a.dir), "kept-"+filepath.Base(a.dir))
	return fmt.Sprintf("%s (could not restore the previous outputs: %v; they are in %s)", a.Stage, err, kept), os.Rename(a.dir, kept)
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
