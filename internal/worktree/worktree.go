// Package worktree turns files into digests and back.
//
// Work is the workspace below a project's root. File and Scan read inputs, Output
// reads what a stage made, Save also puts its bytes into the cache, and Checkout
// brings them back. What counts of a directory is not decided here: Scan asks a
// View, of which package inputs has one for dependencies and save.go one for
// outputs.
//
// Invariants: a digest is that of bytes which were the file at one time, never of a
// mixture, as far as its stat shows a change. What the stat index answers, hashing would answer, too. An
// output is replaced whole, by a rename of a finished copy. The root is opened once, and
// all that is written, moved or removed lies below it, in directories that were reached
// without following a symlink (Holder), whatever other processes do to the paths meanwhile.
// Bytes of an output are read in the same way. By its path a file is only looked at: what
// the stat index knows has been read before, and its stat tells it from any other file.
//
// An input is what its path leads to, symlinks followed (adr/0011). Pipe's own directory
// holds none (CheckOwn).
//
// Pipe's own directory is .pipe below the root: lock, index, index-top, tmp, aside, partial, runs,
// sources, report.md and, unless it is elsewhere, the cache. tmp is on the same file system as the
// outputs, so that a rename works.
package worktree

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/folder"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/statindex"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Dir is pipe's own directory below the repository's root.
const Dir = ".pipe"

// Options say how a workspace is read. The zero value is right.
type Options struct {
	Workers int          // goroutines that stat and hash; 0 is one
	Now     func() int64 // the clock that files' times come from, in nanoseconds; nil: the file system's own
	// Exec says whether a file is executable where the disk cannot tell, and
	// whether it knows; nil: it never does. Git's index is asked where
	// core.fileMode is false.
	Exec func(p repopath.Path) (exec, known bool)
	// Foreign is a directory that is not this user's project: what lies in its .pipe is
	// neither believed nor written.
	Foreign bool
	// Home has the stat index in its .pipe: this directory is only read, for a project that lies in
	// it. nil: it has a .pipe of its own.
	Home *Work
	Note func(text string) // takes what a person should know of a saved out, once each; may be nil

	lstat   func(d *statindex.Directory, name string) (statindex.Stat, statindex.Kind, error)
	folds   func(in folder.Dir) (bool, error)
	reading func(path string) // called when a file is open, before it is read
	machine func() time.Time  // the machine's clock
}

// Work is the workspace: the files below a repository's root. All methods may be
// called from many goroutines.
type Work struct {
	root  string
	dir   folder.Dir // the root
	opt   Options
	index *statindex.Index
	bufs  sync.Pool
	notes sync.Map // texts that were noted
}

// bufSize is read from a file at once: beyond 256 KiB hashing gets no faster.
const bufSize = 256 << 10

// Open returns the workspace at root, an absolute directory. It reads the stat
// index and writes nothing. Close it.
func Open(root string, opt Options) (*Work, error) {
	dir, err := folder.Open(root)
	if err != nil {
		return nil, err
	}
	if opt.machine == nil {
		opt.machine = time.Now
	}
	if opt.lstat == nil {
		opt.lstat = (*statindex.Directory).Lstat
	}
	if opt.folds == nil {
		opt.folds = folds
	}
	w := &Work{root: root, dir: dir, opt: opt, index: statindex.New()}
	if !opt.Foreign {
		w.index = statindex.Load(filepath.Join(w.home().root, Dir, w.indexName()))
	}
	switch {
	case opt.Now == nil && opt.Home != nil:
		w.opt.Now = opt.Home.opt.Now
	case opt.Now == nil && opt.Foreign:
		w.opt.Now = func() int64 { return opt.machine().UnixNano() }
	case opt.Now == nil:
		w.opt.Now = w.clock()
	}
	w.bufs.New = func() any { b := make([]byte, bufSize); return &b }
	return w, nil
}

// home is the workspace whose .pipe has the index.
func (w *Work) home() *Work {
	if w.opt.Home != nil {
		return w.opt.Home
	}
	return w
}

func (w *Work) indexName() string {
	if w.opt.Home != nil {
		return "index-top"
	}
	return "index"
}

// Close writes the stat index if it changed, and lets go of the root.
func (w *Work) Close() error { return errors.Join(w.saveIndex(), w.dir.Close()) }

// clock returns the clock that stamps the workspace's files. On a network file system
// that is the server's. If the machine's clock is ahead of it, a file that is written
// twice in one tick looks old enough to be trusted. A temporary file, made once and
// only when the time is asked for, shows how far the two are apart. Where none can be
// made no index is saved, either, and the machine's clock will do.
func (w *Work) clock() func() int64 {
	apart := sync.OnceValue(func() int64 {
		tmp, err := w.Own(Tmp)
		if err != nil {
			return 0
		}
		defer func() { _ = tmp.Close() }()
		name := "clock-" + rand.Text()
		f, err := tmp.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if err != nil {
			return 0
		}
		info, err := f.Stat()
		now := w.opt.machine().UnixNano()
		if err := errors.Join(err, f.Close(), tmp.Remove(name)); err != nil {
			return 0
		}
		return info.ModTime().UnixNano() - now
	})
	return func() int64 { return w.opt.machine().UnixNano() + apart() }
}

// Root returns the absolute directory.
func (w *Work) Root() string { return w.root }

// OS returns where p lies in the file system.
func (w *Work) OS(p repopath.Path) string {
	return filepath.Join(w.root, filepath.FromSlash(string(p)))
}

// Inside returns the path in the project of a name as a user wrote it in dir. Symlinks
// on the way are resolved, as the root is, but not the last element: it may be a link
// that is meant itself, or not exist yet. A name outside the project is a diag.Usage
// error.
func (w *Work) Inside(dir, name string) (repopath.Path, error) {
	abs, err := Resolve(dir, name)
	if err != nil {
		return "", err
	}
	rel, err := filepath.Rel(w.root, abs)
	if err == nil {
		var at repopath.Path
		if at, err = repopath.FromOS(rel); err == nil {
			return at, nil
		}
	}
	return "", diag.New(diag.Usage, "%w", err).At(name).Hinted("use a path inside %s", w.root)
}

// Resolve returns the absolute path of a name as a user wrote it in dir, without symlinks
// but for the last element.
func Resolve(dir, name string) (string, error) {
	abs := filepath.Clean(name) // a slash at the end would be an element of its own below
	if !filepath.IsAbs(abs) {
		dir, err := filepath.Abs(dir)
		if err != nil {
			return "", err
		}
		abs = filepath.Join(dir, name)
	}
	// A directory that is not there yet is below one that is.
	for dir, rest := filepath.Dir(abs), filepath.Base(abs); dir != filepath.Dir(dir); dir, rest = filepath.Dir(dir), filepath.Join(filepath.Base(dir), rest) {
		if real, err := filepath.EvalSymlinks(dir); err == nil {
			abs = filepath.Join(real, rest)
			break
		}
	}
	return abs, nil
}

// Prepare makes pipe's own directory, which git ignores by a file inside it. A file that
// is there already stays as it is: the user may have changed it.
func (w *Work) Prepare() error {
	tmp, err := w.MakeOwn(Tmp)
	if err != nil {
		return err
	}
	own, err := w.Own("")
	if err := errors.Join(tmp.Close(), err); err != nil {
		return err
	}
	defer func() { _ = own.Close() }()
	const ignore = ".gitignore"
	if _, err := own.Lstat(ignore); err == nil {
		return nil
	}
	// Whole or not at all: an empty one would stay, and git would show the directory for good.
	err = atomicfile.Files{Root: own}.Write(ignore, []byte("*\n"), 0o666, Tmp)
	// Nobody holds the lock yet. Who was faster, and has it by now, removes all temporary files,
	// this one too; but then theirs is there.
	if _, there := own.Lstat(ignore); there == nil {
		return nil
	}
	return err
}

// Tmp is the directory for temporary files in pipe's own one: on the workspace's file
// system, so that a rename from there works.
const Tmp = "tmp"

// Runs is the directory in pipe's own one for what commands printed on this machine.
const Runs = "runs"

// Deploys is where the directories lie in pipe's own one in which commands deploy.
const Deploys = "deploy"

// Below writes files below the root, by their absolute paths.
func (w *Work) Below() atomicfile.Files { return atomicfile.Files{Root: w.dir.Absolute()} }

// Files writes files below the root, by paths relative to it.
func (w *Work) Files() atomicfile.Files { return atomicfile.Files{Root: w.dir} }

// saveIndex writes the stat index if it changed. Losing it costs time, never truth.
func (w *Work) saveIndex() error {
	if w.opt.Foreign {
		return nil
	}
	own, err := w.home().Own("")
	if err != nil {
		return absentIsNil(err) // a question makes no directories
	}
	return errors.Join(w.index.Save(atomicfile.Files{Root: own}, w.indexName()), own.Close())
}

// ErrAbsent says that nothing lies at a path.
var ErrAbsent = errors.New("no such file or directory")

// Gone reports whether an error says that nothing lies at a path. No other one
// does: a disk that fails has not lost its files.
func Gone(err error) bool {
	return errors.Is(err, ErrAbsent) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// absent turns the system's words for "nothing there" into ErrAbsent.
func absent(p repopath.Path, err error) error {
	if Gone(err) {
		return fmt.Errorf("%s: %w", p, ErrAbsent)
	}
	return err
}

// Kind returns what lies at p, symlinks followed; nothing there is ErrAbsent.
func (w *Work) Kind(p repopath.Path) (statindex.Kind, error) {
	_, k, err := statindex.Of(w.OS(p))
	return k, absent(p, err)
}

// File reads the file at p, symlinks followed, as an entry whose path is the root.
// Nothing there is ErrAbsent.
func (w *Work) File(ctx context.Context, p repopath.Path) (object.Entry, error) {
	return w.file(ctx, p, func() (*os.File, error) { return atomicfile.Open(w.OS(p)) }, nil)
}

// file asks the index, or else reads, into the sink if there is one. A file that the
// index knows does not reach the sink: Save sees to it that the cache has it.
func (w *Work) file(ctx context.Context, p repopath.Path, open opener, sink store.Batch) (object.Entry, error) {
	st, kind, err := statindex.Of(w.OS(p))
	if err != nil {
		return object.Entry{}, absent(p, err)
	}
	if kind != statindex.IsFile {
		return object.Entry{}, diag.New(diag.Failed, "is not a regular file").At(string(p))
	}
	if d, ok := w.index.File(string(p), st); ok {
		return w.entry(repopath.Root, p, st, d), nil
	}
	f, err := w.read(ctx, p, open, sink)
	if err != nil {
		return object.Entry{}, err
	}
	w.index.SetFile(string(p), f)
	return w.entry(repopath.Root, p, f.Stat, f.Digest), nil
}

// entry describes the file at p under a name. The executable bit comes from the stat of
// this moment and not from the index, as Exec's answer may differ from the last time.
func (w *Work) entry(name, p repopath.Path, st statindex.Stat, d digest.Digest) object.Entry {
	exec := st.Exec()
	if w.opt.Exec != nil {
		if says, known := w.opt.Exec(p); known {
			exec = says
		}
	}
	return object.Entry{Kind: fileKind(exec), Path: name, Size: st.Size, Digest: d}
}

func fileKind(exec bool) object.Kind {
	if exec {
		return object.Executable
	}
	return object.File
}

// read hashes a file, and puts it into the sink if there is one. A file that
// changes meanwhile is read again, then refused: its digest would be that of
// bytes which never were the file. A refused reading may leave its bytes in the sink;
// they lie there under their own digest, which nothing will name.
func (w *Work) read(ctx context.Context, p repopath.Path, open opener, sink store.Batch) (statindex.File, error) {
	// An editor's save is over after one more reading; a log that grows all the time is not.
	const tries = 3
	for range tries {
		f, after, err := w.readOnce(ctx, open, sink)
		if err != nil || f.Stat == after {
			return f, err
		}
	}
	return statindex.File{}, diag.New(diag.Failed, "is being written to while pipe reads it").At(string(p)).
		Hinted("wait for the writer to finish, then run pipe again; if a stage's command started it, make the command wait for it")
}

// opener opens a file to be read.
type opener func() (*os.File, error)

// readOnce hashes a file and returns its stat from before and after. Both are of the
// open file, so another file that is renamed to the path meanwhile does not mix in.
// The time comes before the first stat: a write after it is late enough to be seen.
func (w *Work) readOnce(ctx context.Context, open opener, sink store.Batch) (f statindex.File, after statindex.Stat, err error) {
	file, err := open()
	if err != nil {
		return f, after, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	f.Read = w.opt.Now()
	if f.Stat, err = statindex.OfFile(file); err != nil {
		return f, after, err
	}
	if w.opt.reading != nil {
		w.opt.reading(file.Name())
	}
	if sink != nil {
		f.Digest, _, err = sink.Save(ctx, file)
	} else {
		buf := w.bufs.Get().(*[]byte)
		defer w.bufs.Put(buf)
		f.Digest, _, err = digest.NewHasher().Copy(ctx, nil, file, *buf)
	}
	if err != nil {
		return f, after, err
	}
	after, err = statindex.OfFile(file)
	return f, after, err
}
