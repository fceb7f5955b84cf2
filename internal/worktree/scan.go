package worktree

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/gitlog"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/par"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// scan is one walk over a directory.
type scan struct {
	top     repopath.Path
	rules   *gitlog.Rules            // at the directory above top; nil: nothing is ignored
	isOut   func(repopath.Path) bool // paths that other stages make: left out, their recorded digests stand for them
	exclude []repopath.Pattern
	only    repopath.Pattern // when set, only files that it names
	output  bool             // an out: empty directories count, nothing special is allowed
	sink    store.Batch      // takes each file that must be read anyway; may be nil
}

// task is a directory still to be read.
type task struct {
	path  repopath.Path
	above *gitlog.Rules
}

// found is what one directory held.
type found struct {
	path    repopath.Path
	rec     *dirRec
	fresh   bool // rec is a private copy that belongs into the index
	entries []object.Entry
	below   []task
	jobs    []job
}

// job is a file whose bytes must be read.
type job struct {
	entry, rec int // where the digest goes: into found.entries and found.rec.entries
	name       string
}

// walk returns the entries of a directory, level by level, all directories of a
// level at once. Paths are relative to top; nothing is sorted.
func (w *Work) walk(ctx context.Context, s scan) ([]object.Entry, error) {
	var all []object.Entry
	level := []task{{s.top, s.rules}}
	for len(level) > 0 {
		dirs := make([]found, len(level))
		err := par.Each(ctx, len(level), w.opt.Workers, func(ctx context.Context, i int) (err error) {
			dirs[i], err = w.readDir(ctx, &s, level[i])
			return err
		})
		if err != nil {
			return nil, err
		}
		if err := w.readFiles(ctx, &s, dirs); err != nil {
			return nil, err
		}
		level = level[:0]
		for i := range dirs {
			if dirs[i].fresh {
				w.index.setDir(string(dirs[i].path), dirs[i].rec)
			}
			all = append(all, dirs[i].entries...)
			level = append(level, dirs[i].below...)
		}
	}
	return all, nil
}

// scan returns the canonical tree of a directory.
func (w *Work) scan(ctx context.Context, s scan) (*object.Tree, error) {
	entries, err := w.walk(ctx, s)
	if err != nil {
		return nil, err
	}
	t := &object.Tree{Entries: entries}
	t.Sort()
	return t, nil
}

func (w *Work) readDir(ctx context.Context, s *scan, t task) (f found, err error) {
	d, err := openDir(w.OS(t.path))
	if err != nil {
		return f, absent(t.path, err)
	}
	defer d.close()
	st, err := d.stat()
	if err != nil {
		return f, err
	}
	f.path, f.rec = t.path, w.index.dir(string(t.path))
	if f.rec == nil || !f.rec.fits(st) {
		if f.rec, err = listDir(d, st, f.rec); err != nil {
			return f, err
		}
		f.fresh = true
	}
	rules, err := w.applyRules(&f, t)
	if err != nil {
		return f, err
	}
	return f, w.readEntries(ctx, s, d, &f, rules)
}

// listDir reads the names of d and takes over what old knows of its files.
func listDir(d *directory, st stat, old *dirRec) (*dirRec, error) {
	rec := &dirRec{stat: st, listed: now()}
	names, err := d.list()
	if err != nil {
		return nil, err
	}
	rec.entries = make([]entry, 0, len(names))
	for _, n := range names {
		e := entry{name: n.Name(), kind: kindOf(n.Type())}
		if old != nil {
			if o := old.find(e.name); o != nil && o.kind == e.kind {
				e.rec = o.rec
			}
		}
		rec.entries = append(rec.entries, e)
	}
	slices.SortFunc(rec.entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	return rec, nil
}

// own gives f a private copy of its record.
func (f *found) own() {
	if !f.fresh {
		rec := *f.rec
		rec.entries = slices.Clone(rec.entries)
		f.rec, f.fresh = &rec, true
	}
}

// ignoreFiles are read in each directory, the later one after the earlier.
var ignoreFiles = [...]string{".gitignore", ".pipeignore"}

// applyRules returns the rules inside the directory, and marks the ignored
// entries anew if the rules are not those of the last time.
func (w *Work) applyRules(f *found, t task) (*gitlog.Rules, error) {
	if t.above == nil {
		return nil, nil
	}
	rules, err := w.enter(t.above, t.path, f.rec)
	if err != nil {
		return nil, err
	}
	if key := [32]byte(rules.Digest()); f.rec.rules != key {
		f.own()
		f.rec.rules = key
		for i := range f.rec.entries {
			e := &f.rec.entries[i]
			e.ignored = rules.Match(e.name, e.kind == kindDir)
		}
	}
	return rules, nil
}

func (w *Work) enter(above *gitlog.Rules, p repopath.Path, rec *dirRec) (*gitlog.Rules, error) {
	var files [][]byte
	for _, name := range ignoreFiles {
		if rec != nil && rec.find(name) == nil {
			continue
		}
		b, err := os.ReadFile(filepath.Join(w.OS(p), name))
		if err = absent(p.Child(name), err); err != nil && !errors.Is(err, ErrAbsent) {
			return nil, err
		}
		if len(b) > 0 {
			files = append(files, b)
		}
	}
	if p == repopath.Root {
		return above.Enter("", files), nil
	}
	return above.Enter(p.Base(), files), nil
}

func (w *Work) readEntries(ctx context.Context, s *scan, d *directory, f *found, rules *gitlog.Rules) error {
	f.entries = make([]object.Entry, 0, len(f.rec.entries))
	rel := s.top.Rel(f.path)
	if s.only != "" {
		rel = f.path
	}
	for i := range f.rec.entries {
		e := &f.rec.entries[i]
		if rules != nil && e.ignored {
			continue
		}
		if err := w.readEntry(ctx, s, d, f, i, rel, rules); err != nil {
			return err
		}
	}
	if s.output && len(f.rec.entries) == 0 && f.path != s.top {
		f.entries = append(f.entries, object.Entry{Kind: object.Dir, Path: rel})
	}
	return nil
}

func (w *Work) readEntry(ctx context.Context, s *scan, d *directory, f *found, i int, rel repopath.Path, rules *gitlog.Rules) error {
	e := &f.rec.entries[i]
	at, ok, err := w.childOf(s, f.path, e)
	if !ok || err != nil {
		return err
	}
	name := rel.Child(e.name)
	switch e.kind {
	case kindDir:
		f.below = append(f.below, task{at, rules})
	case kindFile:
		st, k, err := d.lstat(e.name)
		if err != nil || k != kindFile {
			return nil //nolint:nilerr // it went away while we read: it is not there
		}
		f.entries = append(f.entries, fileEntry(name, st, e.rec.digest))
		if !e.rec.fits(st) {
			f.own()
			f.jobs = append(f.jobs, job{len(f.entries) - 1, i, e.name})
		}
	case kindLink:
		return w.readLink(ctx, s, f, e.name, at, name)
	default:
		if s.output {
			return diag.New(diag.Failed, "is no file, directory or symlink; an out cannot hold it").At(string(at))
		}
	}
	return nil
}

// childOf returns the path of an entry, and whether it counts.
func (w *Work) childOf(s *scan, dir repopath.Path, e *entry) (repopath.Path, bool, error) {
	at := dir.Child(e.name)
	if !s.output {
		if at == Dir || at == lockfile.FileName || s.isOut != nil && s.isOut(at) {
			return at, false, nil
		}
		for _, x := range s.exclude {
			if x.Match(at) {
				return at, false, nil
			}
		}
		if s.only != "" && e.kind != kindDir && !s.only.Match(at) {
			return at, false, nil
		}
	}
	if !cleanName(e.name) {
		if _, err := repopath.ParseEntry(e.name); err != nil {
			if strings.EqualFold(e.name, ".git") && !s.output {
				return at, false, nil
			}
			return at, false, diag.New(diag.Failed, "the name %q cannot stand in a tree: %w", e.name, err).At(string(dir)).
				Hinted("rename it, or name it in .gitignore or in a ! pattern of the deps")
		}
	}
	return at, true, nil
}

// cleanName says for almost every name that repopath.Parse need not look at it.
func cleanName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c < 0x20 || c >= 0x7f || c == '\\' {
			return false
		}
	}
	return len(s) < 4 || s[0] != '.' && s[0]|0x20 != 'g'
}

func fileEntry(p repopath.Path, st stat, d digest.Digest) object.Entry {
	e := object.Entry{Kind: object.File, Path: p, Size: st.size, Digest: d}
	if st.exec() {
		e.Kind = object.Executable
	}
	return e
}

// readLink reads a symlink. In an out it is kept as it is, and must stay inside.
// Among inputs the bytes behind it count, wherever they are, else a change there
// would go unseen: a link to a file is that file. One to a directory is kept as a
// link if everything in that directory is an input anyway.
func (w *Work) readLink(ctx context.Context, s *scan, f *found, base string, at, name repopath.Path) error {
	target, err := readlink(w.OS(f.path), base)
	if err != nil {
		return err
	}
	rel := path.Join(path.Dir(string(s.top.Rel(at))), target)
	inside := !path.IsAbs(target) && rel != ".." && !strings.HasPrefix(rel, "../")
	link := object.Entry{
		Kind: object.Symlink, Path: name, Target: target,
		Digest: digest.Of([]byte(target)), Size: int64(len(target)),
	}
	if s.output {
		if !inside {
			return diag.New(diag.Failed, "is a symlink to %s, outside the out", target).At(string(at)).
				Hinted("make it a relative link inside the out, or copy the file")
		}
		f.entries = append(f.entries, link)
		return nil
	}
	_, k, err := statPath(w.OS(at))
	switch {
	case errors.Is(err, fs.ErrNotExist) && !inside:
		return nil // dangling: nothing to read, nothing to hash
	case errors.Is(err, fs.ErrNotExist):
		f.entries = append(f.entries, link)
		return nil
	case err != nil:
		return err
	case k == kindFile:
		d, st, err := w.file(ctx, at, nil)
		f.entries = append(f.entries, fileEntry(name, st, d))
		return err
	case k == kindDir && inside && s.only == "" && w.covers(s, at):
		f.entries = append(f.entries, link)
		return nil
	}
	return diag.New(diag.Failed, "is a symlink to %s, which is no file and no directory that is an input too", target).At(string(at)).
		Hinted("name the target as a dep of its own, and leave the link out: \"!%s\"", at)
}

// covers reports whether the scan reads the directory that a link leads to.
func (w *Work) covers(s *scan, link repopath.Path) bool {
	real, err := filepath.EvalSymlinks(w.OS(link))
	if err != nil {
		return false
	}
	rel, err := filepath.Rel(w.root, real)
	if err != nil {
		return false
	}
	to, err := repopath.FromOS(rel)
	if err != nil || !s.top.Holds(to) {
		return false
	}
	for d := to; d != s.top; d = d.Dir() {
		excluded := slices.ContainsFunc(s.exclude, func(x repopath.Pattern) bool { return x.Match(d) })
		ignored, err := w.Ignored(d, true)
		if err != nil || excluded || s.rules != nil && ignored || s.isOut != nil && s.isOut(d) {
			return false
		}
	}
	return true
}

// readFiles hashes what the index could not answer for, all files of a level at once.
func (w *Work) readFiles(ctx context.Context, s *scan, dirs []found) error {
	type place struct{ dir, job int }
	var todo []place
	for i := range dirs {
		for j := range dirs[i].jobs {
			todo = append(todo, place{i, j})
		}
	}
	return par.Each(ctx, len(todo), w.opt.Workers, func(ctx context.Context, n int) error {
		f := &dirs[todo[n].dir]
		j := f.jobs[todo[n].job]
		d, st, hashed, err := w.read(ctx, filepath.Join(w.OS(f.path), j.name), s.sink)
		if err != nil {
			return err
		}
		f.rec.entries[j.rec].rec = fileRec{stat: st, hashed: hashed, digest: d}
		e := &f.entries[j.entry]
		*e = fileEntry(e.Path, st, d)
		return nil
	})
}

// read hashes a file, and puts it into the sink if there is one.
func (w *Work) read(ctx context.Context, path string, sink store.Batch) (digest.Digest, stat, int64, error) {
	if sink == nil {
		return w.hash(path)
	}
	f, err := os.Open(path)
	if err != nil {
		return digest.Digest{}, stat{}, 0, err
	}
	defer func() { _ = f.Close() }()
	hashed := now()
	before, err := statFile(f)
	if err != nil {
		return digest.Digest{}, before, 0, err
	}
	d, _, err := sink.Save(ctx, f)
	if err != nil {
		return d, before, 0, err
	}
	after, err := statFile(f)
	if err == nil && after != before {
		err = diag.New(diag.Failed, "is being written to while it is saved").At(path).
			Hinted("something that the command started still writes; let the command wait for it")
	}
	return d, after, hashed, err
}
