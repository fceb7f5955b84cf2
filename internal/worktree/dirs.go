package worktree

import (
	"crypto/rand"
	"errors"
	"path"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/folder"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Holder opens the directory that p lies in, where its last element is a name. It refuses
// a path that leads through a symlink: it could lead anywhere, into .git for one. What the
// last element is, is not looked at. The caller closes the directory.
func (w *Work) Holder(p repopath.Path) (folder.Dir, error) {
	d, err := w.dir.Enter(string(p.Dir()))
	return d, behind(p, err)
}

// MakeHolder is Holder, and makes the directories that are not there.
func (w *Work) MakeHolder(p repopath.Path) (folder.Dir, error) {
	d, err := w.dir.Make(string(p.Dir()))
	return d, behind(p, err)
}

// Beside opens the directory that a path of the system lies in. Below the root it follows no
// symlink; elsewhere they are the user's.
func (w *Work) Beside(name string) (folder.Dir, error) {
	dir := filepath.Dir(name)
	rel, err := filepath.Rel(w.root, dir)
	if err != nil || !filepath.IsLocal(rel) {
		return folder.Open(dir)
	}
	d, err := w.dir.Enter(filepath.ToSlash(rel))
	return d, behind(repopath.Path(name), err)
}

// behind tells people of the symlink on the way to p.
func behind(p repopath.Path, err error) error {
	link := (*folder.LinkError)(nil)
	if !errors.As(err, &link) {
		return err
	}
	return diag.New(diag.Policy, "is behind the symlink %s, where pipe does not write", link.Path).At(string(p)).
		Hinted("use the real path, or make %s a directory", link.Path)
}

// Own opens a directory inside pipe's own one, or with no name this itself. The caller
// closes it.
func (w *Work) Own(name string) (folder.Dir, error) {
	d, err := w.dir.Enter(path.Join(Dir, name))
	return d, ours(err)
}

// MakeOwn is Own, and makes the directories that are not there.
func (w *Work) MakeOwn(name string) (folder.Dir, error) {
	d, err := w.dir.Make(path.Join(Dir, name))
	return d, ours(err)
}

// ours is behind for pipe's own directory.
func ours(err error) error {
	link := (*folder.LinkError)(nil)
	if !errors.As(err, &link) {
		return err
	}
	return diag.New(diag.Policy, "is a symlink; pipe does not follow symlinks in its own directory").At(link.Path).
		Hinted("remove it (to keep the cache elsewhere, set PIPE_CACHE)")
}

// Temp is a directory for one use inside one of pipe's own.
type Temp struct {
	folder.Dir
	w    *Work
	in   folder.Dir
	name string
}

// Temp makes a directory with a new name inside one of pipe's own. The caller ends
// with Discard or Close.
func (w *Work) Temp(own, prefix string) (*Temp, error) {
	in, err := w.MakeOwn(own)
	if err != nil {
		return nil, err
	}
	d, name, err := in.Temp(prefix)
	if err != nil {
		_ = in.Close()
		return nil, err
	}
	return &Temp{d, w, in, name}, nil
}

// Reopen returns the directory that an earlier call of Temp has made.
func (w *Work) Reopen(own, name string) (*Temp, error) {
	in, err := w.Own(own)
	if err != nil {
		return nil, err
	}
	d, err := in.Enter(name)
	if err != nil {
		_ = in.Close()
		return nil, err
	}
	return &Temp{d, w, in, name}, nil
}

// Base returns the directory's name in pipe's own one.
func (t *Temp) Base() string { return t.name }

// Keep gives the directory another name where it is.
func (t *Temp) Keep(name string) error { return t.in.Move(t.name, t.in, name) }

// Discard removes the directory and what is in it, as Work.Discard.
func (t *Temp) Discard() {
	t.w.Discard(t.in, t.name)
	_ = t.Close()
}

// Close lets go of the directory, which stays.
func (t *Temp) Close() error { return errors.Join(t.Dir.Close(), t.in.Close()) }

// trash is where in pipe's own directory lies what could not be removed.
const trash = "trash"

// Discard removes what lies at a name in one of pipe's own directories. What resists (an
// immutable file, a mount, what belongs to another user) is out of everybody's way in
// .pipe/trash, and a person is told: that old bytes stay is no reason for a verb to fail.
func (w *Work) Discard(in folder.Dir, name string) {
	err := in.RemoveAll(name)
	if err == nil {
		return
	}
	if to, terr := w.MakeOwn(trash); terr == nil {
		_ = in.Move(name, to, name+"-"+rand.Text()) // where it stays, the next run finds it
		_ = to.Close()
	}
	w.note("could not remove old files: %v; pipe gc --yes tries again", err)
}

// EmptyTrash removes what Discard could not, and returns the paths that still resist.
func (w *Work) EmptyTrash() (left []string, err error) {
	d, err := w.Own(trash)
	if err != nil {
		return nil, absentIsNil(err)
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	list, err := d.List()
	for _, e := range list {
		if d.RemoveAll(e.Name()) != nil {
			left = append(left, path.Join(Dir, trash, e.Name()))
		}
	}
	return left, err
}

// shared is a directory that several goroutines work in.
type shared struct {
	once sync.Once
	dir  folder.Dir
	err  error
	left atomic.Int64 // how many will yet be done
}

// get returns the directory, and opens it for the first who asks.
func (s *shared) get(open func() (folder.Dir, error)) (folder.Dir, error) {
	s.once.Do(func() { s.dir, s.err = open() })
	return s.dir, s.err
}

// done is called once by each of them; the last one closes the directory.
func (s *shared) done() {
	if s.left.Add(-1) == 0 {
		s.close()
	}
}

func (s *shared) close() {
	if s.dir.Root != nil {
		_ = s.dir.Close()
	}
}
