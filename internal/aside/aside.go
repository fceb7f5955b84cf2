// Package aside keeps a stage's old outs out of the way while its command runs.
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

	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Outs are a stage's old outs, moved out of the way. A note beside them lets a
// later run put them back after a kill.
type Outs struct {
	w     *worktree.Work
	dir   string
	Stage string `json:"stage"` // that makes them
	Moved []out  `json:"outs"`  // in the order of the moves
}

type out struct {
	Path repopath.Path `json:"path"`
	Kept string        `json:"kept"` // name inside the aside directory; "" when nothing lay there
}

const noteName = "note.json"

func top(w *worktree.Work) string { return filepath.Join(w.Root(), worktree.Dir, "aside") }

// Move moves what lies at the paths into pipe's own directory. The caller ends
// with Restore or Drop. After an error everything is where it was.
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
			// Of those that were not moved, nothing is in the way but what was there before.
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
// those paths are returned.
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
				continue // the run ended before
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

func (a *Outs) partial() string { return filepath.Join(a.w.Root(), worktree.Dir, "partial", a.Stage) }

// clear moves what lies at p to .pipe/partial/STAGE, or the file or symlink that
// stands where a directory above p should be: nothing is read or written through it.
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
	// Without its note the rest is rubbish, not something to put back.
	if err := os.Remove(filepath.Join(a.dir, noteName)); err != nil {
		return err
	}
	return os.RemoveAll(a.dir)
}

// Recover cleans up after a run that was killed: outs that it had moved aside
// are put back, and temporary files go. The caller holds the workspace's lock
// and has made sure that no command of that run still works. It returns the
// stages whose outs were put back.
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

func recoverOne(a *Outs) (stage string, err error) {
	note, err := os.ReadFile(filepath.Join(a.dir, noteName))
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
	// No later run may stumble over it: it stays where it is, under another name.
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
