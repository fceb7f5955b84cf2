package worktree

import (
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/pipe-build/pipe/internal/folder"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/par"
	"github.com/pipe-build/pipe/internal/statindex"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// narrow returns the smallest part of a directory that holds all that differs from what lies
// there: at best one file. To exchange it is to exchange the whole, as the rest is the same.
// The third value is what lies at the part, nil for what is not a directory.
func narrow(o artifact.Output, t, here *object.Tree) (artifact.Output, *object.Tree, *object.Tree) {
	for p := differs(t, here); p != repopath.Root; p = p.Dir() {
		if e, ok := t.Find(p); ok && e.IsFile() {
			return e.Output(o.Path.Child(string(p))), nil, nil
		}
		if sub, ok := t.Sub(p); ok {
			part, old := sub.Output(o.Path.Child(string(p))), (*object.Tree)(nil)
			if was, ok := here.Sub(p); ok {
				old = was
			}
			return part, sub, old
		}
		// It is to go, or a symlink: the directory that holds it is exchanged.
	}
	return o, t, here
}

// differs returns the longest path that holds all in which two trees differ.
func differs(a, b *object.Tree) repopath.Path {
	changes := object.Diff(a, b)
	if len(changes) == 0 {
		return repopath.Root
	}
	all := changes[0].Path
	for _, c := range changes {
		for !all.Holds(c.Path) {
			all = all.Dir()
		}
	}
	return all
}

// reuse is a directory that is about to be replaced. Its files that the new one has, too, get a
// second name there: so they keep inodes and times, and cost no copy. Until the old directory is
// removed both names are one file, and an edit of one is an edit of the other.
type reuse struct {
	w    *Work
	at   repopath.Path // where it lies
	dir  folder.Dir
	tree *object.Tree

	mu     sync.Mutex
	shared map[repopath.Path]statindex.Stat // files of the new directory that are those of the old one
	times  map[repopath.Path]time.Time      // of files that had to be copied though they are the same
}

// openReuse opens what lies at an out's path to be reused, nil where that cannot be done.
func (w *Work) openReuse(o artifact.Output, here *object.Tree) *reuse {
	if !o.Dir || here == nil {
		return nil
	}
	dir, err := w.enter(o.Path)
	if err != nil {
		return nil
	}
	return &reuse{w: w, at: o.Path, dir: dir, tree: here, shared: map[repopath.Path]statindex.Stat{}, times: map[repopath.Path]time.Time{}}
}

func (r *reuse) close() {
	if r != nil {
		_ = r.dir.Close()
	}
}

// has reports whether a file of the new directory is there already.
func (r *reuse) has(p repopath.Path) bool {
	if r == nil {
		return false
	}
	_, ok := r.shared[p]
	return ok
}

// time is when a copy of a file that did not change was written, the zero time for another one.
func (r *reuse) time(p repopath.Path) time.Time {
	if r == nil {
		return time.Time{}
	}
	return r.times[p]
}

// fill shares the files that a tree has in common with the old one.
func (r *reuse) fill(ctx context.Context, to folder.Dir, t *object.Tree) error {
	if r == nil {
		return nil
	}
	same := map[repopath.Path][]object.Entry{}
	for _, e := range t.Entries {
		if was, ok := r.tree.Find(e.Path); ok && was == e && e.IsFile() {
			same[e.Path.Dir()] = append(same[e.Path.Dir()], e)
		}
	}
	dirs := slices.Collect(maps.Keys(same))
	return par.Each(ctx, len(dirs), r.w.opt.Workers, func(ctx context.Context, i int) error {
		return r.share(ctx, to, dirs[i], same[dirs[i]])
	})
}

// share gives the files of one directory their second names. What cannot be shared, or is not
// what it was when pipe looked, is left to be copied.
func (r *reuse) share(ctx context.Context, to folder.Dir, p repopath.Path, files []object.Entry) error {
	from, err := r.dir.Enter(string(p))
	if err != nil {
		return nil //nolint:nilerr // it is not there any more, and nothing of it is shared
	}
	defer func() { _ = from.Close() }()
	into, err := to.Enter(string(p))
	if err != nil {
		return err
	}
	defer func() { _ = into.Close() }()
	before, err := stats(from, files)
	if err != nil {
		return err
	}
	linked, err := from.LinkAll(into, bases(files))
	if err != nil {
		return err
	}
	after, err := stats(into, files)
	if err != nil {
		return err
	}
	dir := r.w.index.Dir(string(below(r.at, p)))
	for i, e := range files {
		ok := linked[i] && alike(before[i], after[i])
		if ok && !vouches(dir, e, before[i]) {
			ok, err = r.reads(ctx, into, e)
		}
		if linked[i] && !ok {
			err = errors.Join(err, into.Remove(e.Path.Base()))
		}
		if err != nil {
			return err
		}
		r.note(e.Path, ok, before[i], after[i])
	}
	return nil
}

// relearn corrects what the index is to know of files that were shared. To lose the old name
// gave each another change time, so it is looked at later than the others; whoever wrote to it
// since it was shared has given it another time of writing, too.
func (r *reuse) relearn(dir *statindex.Dir, files []object.Entry, now int64) {
	if r == nil {
		return
	}
	for _, e := range files {
		was, ok := r.shared[e.Path]
		known := dir.Find(e.Path.Base())
		if !ok || known == nil {
			continue
		}
		if known.File.Read = now; !alike(was, known.File.Stat) {
			known.File = statindex.File{}
		}
	}
}

func (r *reuse) note(p repopath.Path, shared bool, before, after statindex.Stat) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if shared {
		r.shared[p] = after
	} else if before.Ino != 0 {
		r.times[p] = time.Unix(0, before.Mtime)
	}
}

// reads reports whether a file's bytes are what the tree says, where the index cannot tell.
func (r *reuse) reads(ctx context.Context, in folder.Dir, e object.Entry) (bool, error) {
	f, _, err := r.w.readOnce(ctx, func() (*os.File, error) { return in.Read(e.Path.Base()) }, nil)
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	return err == nil && f.Digest == e.Digest, nil
}

// vouches reports whether the index says that a file with this stat is the entry's.
func vouches(dir *statindex.Dir, e object.Entry, st statindex.Stat) bool {
	if dir == nil {
		return false
	}
	known := dir.Find(e.Path.Base())
	return known != nil && known.File.Digest == e.Digest && known.File.Fits(st)
}

// alike reports whether a file was not written to between two looks at it. A new name for it
// gives it another change time.
func alike(a, b statindex.Stat) bool {
	a.Ctime = b.Ctime
	return a == b
}

// stats looks at files in a directory; the value is zero for one that does not exist or is not a regular file.
func stats(in folder.Dir, files []object.Entry) ([]statindex.Stat, error) {
	d, err := statindex.DirOf(in.Root)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	all := make([]statindex.Stat, len(files))
	for i, e := range files {
		if st, k, err := d.Lstat(e.Path.Base()); err == nil && k == statindex.IsFile {
			all[i] = st
		}
	}
	return all, nil
}

// bases returns the last elements of paths.
func bases(files []object.Entry) []string {
	all := make([]string, len(files))
	for i, e := range files {
		all[i] = e.Path.Base()
	}
	return all
}
