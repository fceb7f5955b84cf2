package worktree

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/pipe-build/pipe/pkg/repopath"
)

// Aside is a stage's old outs, moved out of the way while its command runs. A
// note beside them lets a later run put them back after a kill.
type Aside struct {
	w     *Work
	dir   string
	Stage string       `json:"stage"`
	Outs  []asideEntry `json:"outs"`
}

type asideEntry struct {
	Path repopath.Path `json:"path"`
	Kept string        `json:"kept"` // name inside the aside directory; "" when nothing lay there
}

const asideNote = "note.json"

// MoveAside moves what lies at the paths into pipe's own directory. The caller
// ends with Restore or Drop.
func (w *Work) MoveAside(stage string, paths []repopath.Path) (*Aside, error) {
	top := filepath.Join(w.root, Dir, "aside")
	if err := os.MkdirAll(top, 0o777); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(top, "run-*")
	if err != nil {
		return nil, err
	}
	a := &Aside{w: w, dir: dir, Stage: stage}
	for i, p := range paths {
		if err := w.guard(p); err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
		e := asideEntry{Path: p}
		if _, err := os.Lstat(w.OS(p)); err == nil {
			e.Kept = strconv.Itoa(i)
		}
		a.Outs = append(a.Outs, e)
	}
	note, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	// The note before the moves: whatever was moved can be put back after a kill.
	// It need not survive a power cut: the recorded bytes are in the cache.
	if err := os.WriteFile(filepath.Join(dir, asideNote), note, 0o666); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	for _, e := range a.Outs {
		if err := a.move(e); err != nil {
			_, rerr := a.Restore()
			return nil, errors.Join(err, rerr)
		}
	}
	return a, nil
}

func (a *Aside) move(e asideEntry) error {
	if e.Kept != "" {
		if err := os.Rename(a.w.OS(e.Path), filepath.Join(a.dir, e.Kept)); err != nil {
			return err
		}
	}
	return os.MkdirAll(filepath.Dir(a.w.OS(e.Path)), 0o777)
}

// Restore puts the old outs back. What the command left in their place is kept
// below .pipe/partial/STAGE, in place of what an earlier attempt left there, and
// those paths are returned.
func (a *Aside) Restore() (partial []string, err error) {
	if err := os.RemoveAll(a.partialDir()); err != nil {
		return nil, err
	}
	for _, e := range a.Outs {
		kept := filepath.Join(a.dir, e.Kept)
		if e.Kept != "" {
			if _, err := os.Lstat(kept); errors.Is(err, fs.ErrNotExist) {
				continue // never moved
			}
		}
		moved, err := a.clear(e.Path)
		partial = append(partial, moved...)
		if err != nil {
			return partial, err
		}
		if e.Kept == "" {
			continue
		}
		now := a.w.OS(e.Path)
		if err := os.MkdirAll(filepath.Dir(now), 0o777); err != nil {
			return partial, err
		}
		if err := os.Rename(kept, now); err != nil {
			return partial, fmt.Errorf("put %s back: %w", e.Path, err)
		}
	}
	return partial, os.RemoveAll(a.dir)
}

func (a *Aside) partialDir() string { return filepath.Join(a.w.root, Dir, "partial", a.Stage) }

// clear moves away what lies at p, and a file or symlink that stands where a
// directory above p should be: nothing is read or written through it.
func (a *Aside) clear(p repopath.Path) (moved []string, err error) {
	var above []repopath.Path
	for d := p.Dir(); d != repopath.Root; d = d.Dir() {
		above = append(above, d)
	}
	slices.Reverse(above)
	for _, d := range above {
		info, err := os.Lstat(a.w.OS(d))
		if errors.Is(err, fs.ErrNotExist) {
			return moved, nil
		}
		if err != nil {
			return moved, err
		}
		if !info.IsDir() {
			to, err := a.setPartial(d)
			return append(moved, to), err
		}
	}
	if _, err := os.Lstat(a.w.OS(p)); err != nil {
		return moved, nil //nolint:nilerr // nothing there
	}
	to, err := a.setPartial(p)
	return append(moved, to), err
}

// setPartial moves what lies at p to .pipe/partial/STAGE/PATH.
func (a *Aside) setPartial(p repopath.Path) (string, error) {
	to := filepath.Join(a.partialDir(), filepath.FromSlash(string(p)))
	if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
		return "", err
	}
	rel := filepath.Join(Dir, "partial", a.Stage, filepath.FromSlash(string(p)))
	return rel, os.Rename(a.w.OS(p), to)
}

// Drop removes the old outs: the new ones are in the cache.
func (a *Aside) Drop() error {
	// Without its note the rest is rubbish, not something to put back.
	if err := os.Remove(filepath.Join(a.dir, asideNote)); err != nil {
		return err
	}
	return os.RemoveAll(a.dir)
}

// Recover cleans up after a run that was killed: outs that it had moved aside
// are put back, and temporary files go. The caller holds the workspace's lock
// and has made sure that no command of that run still works. It returns the
// stages whose outs were put back.
func (w *Work) Recover() (stages []string, err error) {
	dirs, err := filepath.Glob(filepath.Join(w.root, Dir, "aside", "run-*"))
	if err != nil {
		return nil, err
	}
	for _, dir := range dirs {
		a := &Aside{w: w, dir: dir}
		note, err := os.ReadFile(filepath.Join(dir, asideNote))
		if err != nil || json.Unmarshal(note, a) != nil || !a.valid() {
			if err := os.RemoveAll(dir); err != nil {
				return stages, err
			}
			continue
		}
		if _, rerr := a.Restore(); rerr != nil {
			// No later run may stumble over it: it stays where it is, under another name.
			kept := filepath.Join(filepath.Dir(dir), "kept-"+filepath.Base(dir))
			stages = append(stages, fmt.Sprintf("%s (not put back: %v; the old outs are in %s)", a.Stage, rerr, kept))
			if err := os.Rename(dir, kept); err != nil {
				return stages, err
			}
			continue
		}
		stages = append(stages, a.Stage)
	}
	tmp, err := filepath.Glob(filepath.Join(w.Tmp(), "*"))
	if err != nil {
		return stages, err
	}
	for _, t := range tmp {
		if err := os.RemoveAll(t); err != nil {
			return stages, err
		}
	}
	return stages, nil
}

func (a *Aside) valid() bool {
	for _, e := range a.Outs {
		if p, err := repopath.Parse(string(e.Path)); err != nil || p != e.Path {
			return false
		}
	}
	return true
}
