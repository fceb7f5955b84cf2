package worktree

import (
	"context"
	"os"
	"path/filepath"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/folder"
	"github.com/pipe-build/pipe/internal/ignore"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/par"
	"github.com/pipe-build/pipe/internal/statindex"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// View decides what counts of a directory that is scanned. Its methods are called
// from many goroutines.
type View interface {
	// Enter returns the ignore rules inside the directory p; nil: nothing is
	// ignored. above are those of the directory that holds p, nil at the top of
	// the scan; has tells which names lie in p.
	Enter(p repopath.Path, above *ignore.Rules, has func(name string) bool) (*ignore.Rules, error)
	// Sees reports whether what lies at p counts.
	Sees(p repopath.Path, k statindex.Kind) (bool, error)
	// Link returns the entry that stands for the symlink at p, and whether one
	// does. The scan fills in its path.
	Link(ctx context.Context, p repopath.Path, target string) (object.Entry, bool, error)
}

// Scan reads the directory top as a tree, its paths relative to it, without empty
// directories. What the stat index knows is not read again: a directory that did not
// change costs one stat for itself and one for each file. Nothing there is ErrAbsent.
// A scan is no snapshot. A file that goes away meanwhile counts as absent; callers that
// need the state before and after a command scan twice.
func (w *Work) Scan(ctx context.Context, top repopath.Path, view View) (*object.Tree, error) {
	return w.scan(ctx, &scan{top: top, open: func() (folder.Dir, error) { return folder.Open(w.OS(top)) }, view: view})
}

// scan is one walk over a directory.
type scan struct {
	top   repopath.Path
	open  func() (folder.Dir, error) // opens top
	in    shared                     // top, when something in it must be read
	view  View
	empty bool        // directories with nothing in them count
	sink  store.Batch // takes each file that must be read anyway; may be nil
}

// task is a directory still to be read.
type task struct {
	path  repopath.Path
	above *ignore.Rules
}

// found is what one directory held.
type found struct {
	path    repopath.Path
	dir     *statindex.Dir
	fresh   bool // dir is a private copy that belongs into the index
	entries []object.Entry
	below   []task
	jobs    []job
}

// job is a file whose bytes must be read.
type job struct{ entry, name int } // where the digest goes: into found.entries and found.dir.Entries

// scan goes level by level, all directories of a level at once, then all files of the
// level that must be read. So the workers stay busy in deep trees as in flat ones, and
// no goroutine waits for another. A directory's record goes into the index when the
// digests of its files are in it, for from then on it is shared and must not change.
func (w *Work) scan(ctx context.Context, s *scan) (*object.Tree, error) {
	defer s.in.close()
	t := &object.Tree{}
	level := []task{{path: s.top}}
	for len(level) > 0 {
		dirs := make([]found, len(level))
		err := par.Each(ctx, len(level), w.opt.Workers, func(ctx context.Context, i int) (err error) {
			dirs[i], err = w.readDir(ctx, s, level[i])
			return err
		})
		if err != nil {
			return nil, err
		}
		if err := w.readFiles(ctx, s, dirs); err != nil {
			return nil, err
		}
		level = level[:0]
		for i := range dirs {
			if dirs[i].fresh {
				w.index.SetDir(string(dirs[i].path), dirs[i].dir)
			}
			t.Entries = append(t.Entries, dirs[i].entries...)
			level = append(level, dirs[i].below...)
		}
	}
	t.Sort()
	return t, nil
}

// enter opens a directory inside top.
func (s *scan) enter(p repopath.Path) (folder.Dir, error) {
	top, err := s.in.get(s.open)
	if err != nil {
		return folder.Dir{}, absent(p, err)
	}
	d, err := top.Enter(string(s.top.Rel(p)))
	return d, changed(p, err)
}

// readDir lists one directory, or takes its names from the index, and sorts out what of
// it counts. A name that is added after the directory's stat was taken gives it another
// one, or one that is too close to the time of the listing to be trusted.
func (w *Work) readDir(ctx context.Context, s *scan, t task) (f found, err error) {
	f.path = t.path
	d, err := w.names(s, &f)
	if Gone(err) && t.path != s.top {
		return f, nil // it went away while we read: it is not there
	}
	if err != nil {
		return f, absent(t.path, err)
	}
	defer d.Close()
	rules, err := s.view.Enter(t.path, t.above, func(name string) bool { return f.dir.Find(name) != nil })
	if err != nil {
		return f, err
	}
	f.judge(rules)
	return f, w.readEntries(ctx, s, d, &f, rules)
}

// names finds the names of f, and returns its directory. By its path it is only looked at:
// the index knows that very directory, or it is opened anew from top on, and listed.
func (w *Work) names(s *scan, f *found) (*statindex.Directory, error) {
	if f.dir = w.index.Dir(string(f.path)); f.dir != nil {
		d, err := statindex.OpenDir(w.OS(f.path))
		if err != nil {
			return nil, err
		}
		if st, err := d.Stat(); err == nil && f.dir.Fits(st) {
			return d, nil
		}
		d.Close()
	}
	in, err := s.enter(f.path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = in.Close() }()
	d, err := statindex.DirOf(in.Root)
	if err != nil {
		return nil, err
	}
	st, err := d.Stat()
	if err == nil {
		f.fresh = true
		f.dir, err = d.List(st, w.opt.Now(), f.dir)
	}
	if err != nil {
		d.Close()
	}
	return d, err
}

// own gives f a private copy of its record: the index shares the other one.
func (f *found) own() {
	if !f.fresh {
		f.dir, f.fresh = f.dir.Clone(), true
	}
}

// judge marks the ignored entries anew if the rules are not those of the last time.
// Where nothing changed, no name is matched against any pattern. Without rules the marks stay as they are, and readEntries ignores them.
func (f *found) judge(rules *ignore.Rules) {
	if rules == nil || f.dir.Rules == [32]byte(rules.Digest()) {
		return
	}
	f.own()
	f.dir.Rules = [32]byte(rules.Digest())
	for i := range f.dir.Entries {
		e := &f.dir.Entries[i]
		e.Ignored = rules.Match(e.Name, e.Kind == statindex.IsDir)
	}
}

// readEntries looks at each entry that is not ignored. If directories with nothing in
// them count, one gets an entry of its own, but for the top: its tree stands for it.
func (w *Work) readEntries(ctx context.Context, s *scan, d *statindex.Directory, f *found, rules *ignore.Rules) error {
	f.entries = make([]object.Entry, 0, len(f.dir.Entries))
	for i := range f.dir.Entries {
		if rules != nil && f.dir.Entries[i].Ignored {
			continue
		}
		if err := w.readEntry(ctx, s, d, f, i, rules); err != nil {
			return err
		}
	}
	if s.empty && len(f.entries)+len(f.below) == 0 && f.path != s.top {
		f.entries = append(f.entries, object.Entry{Kind: object.Dir, Path: s.top.Rel(f.path)})
	}
	return nil
}

// readEntry adds what lies at one name to f: a directory to be read later, a file with
// its digest or a job to find it, or a symlink as the view sees it.
func (w *Work) readEntry(ctx context.Context, s *scan, d *statindex.Directory, f *found, i int, rules *ignore.Rules) error {
	e := &f.dir.Entries[i]
	at := f.path.Child(e.Name)
	if ok, err := s.view.Sees(at, e.Kind); !ok || err != nil {
		return err
	}
	if err := checkName(f.path, e.Name); err != nil {
		return err
	}
	switch e.Kind {
	case statindex.IsDir:
		f.below = append(f.below, task{at, rules})
	case statindex.IsFile:
		st, k, err := w.opt.lstat(d, e.Name)
		if Gone(err) {
			return nil // it went away while we read: it is not there
		}
		if err != nil {
			return err
		}
		if k != statindex.IsFile {
			return diag.New(diag.Failed, "changed while pipe read it").At(string(at)).Hinted("run pipe again")
		}
		f.entries = append(f.entries, w.entry(s.top.Rel(at), at, st, e.File.Digest))
		if !e.File.Fits(st) {
			f.own()
			f.jobs = append(f.jobs, job{len(f.entries) - 1, i})
		}
	case statindex.IsLink:
		target, err := d.Readlink(e.Name)
		if Gone(err) {
			return nil
		}
		if err != nil {
			return err
		}
		link, ok, err := s.view.Link(ctx, at, filepath.ToSlash(target))
		if ok && err == nil {
			link.Path = s.top.Rel(at)
			f.entries = append(f.entries, link)
		}
		return err
	}
	return nil
}

// checkName refuses a name that no tree can hold.
func checkName(dir repopath.Path, name string) error {
	if cleanName(name) {
		return nil
	}
	if _, err := repopath.ParseEntry(name); err != nil {
		return diag.New(diag.Failed, "the name %q cannot be stored: %w", name, err).At(string(dir)).
			Hinted("rename it, or exclude it in .gitignore or with a ! pattern in deps")
	}
	return nil
}

// cleanName says for almost every name that repopath.ParseEntry need not look at it. It
// errs on one side only: what begins with a dot (., .., .git) or a g (git~1), or is not
// plain ASCII, is left to ParseEntry. A name from a directory has no slash and at least
// one byte.
func cleanName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c < 0x20 || c >= 0x7f || c == '\\' {
			return false
		}
	}
	return s[0] != '.' && s[0]|0x20 != 'g'
}

// readFiles hashes what the index could not answer for, all files of a level at once.
// Each job has an entry of its own to write to, in records that own has made private,
// so there is no lock. A directory is opened for the first of its files and closed after
// the last.
func (w *Work) readFiles(ctx context.Context, s *scan, dirs []found) error {
	type place struct{ dir, job int }
	var todo []place
	open := make([]shared, len(dirs))
	for i := range dirs {
		open[i].left.Store(int64(len(dirs[i].jobs)))
		for j := range dirs[i].jobs {
			todo = append(todo, place{i, j})
		}
	}
	defer func() {
		for i := range open {
			open[i].close() // after an error some files were not read
		}
	}()
	return par.Each(ctx, len(todo), w.opt.Workers, func(ctx context.Context, n int) error {
		f, dir := &dirs[todo[n].dir], &open[todo[n].dir]
		j := f.jobs[todo[n].job]
		known, e := &f.dir.Entries[j.name], &f.entries[j.entry]
		at := f.path.Child(known.Name)
		in, err := dir.get(func() (folder.Dir, error) { return s.enter(f.path) })
		if err != nil {
			return err
		}
		defer dir.done()
		file, err := w.read(ctx, at, func() (*os.File, error) { return in.Read(known.Name) }, s.sink)
		if err != nil {
			return changed(at, err)
		}
		known.File = file
		*e = w.entry(e.Path, at, file.Stat, file.Digest)
		return nil
	})
}
