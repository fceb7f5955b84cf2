// Package worktree turns files into digests and back.
package worktree

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/gitlog"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Dir is pipe's own directory below the repository's root.
const Dir = ".pipe"

// Options say how a workspace is read. The zero value is right but for Rules.
type Options struct {
	Rules   *gitlog.Rules // what git ignores, at the root
	Workers int           // goroutines that stat and hash; at least 1
}

// Work is the workspace: the files below a repository's root. All methods may be
// called from many goroutines.
type Work struct {
	root  string
	opt   Options
	index *index
	bufs  sync.Pool
	rules sync.Map // repopath.Path -> above: what was read of ignore files
}

// bufSize is read from a file at once: beyond 256 KiB hashing gets no faster.
const bufSize = 256 << 10

// Open returns the workspace at root, an absolute directory. It reads the stat
// index and writes nothing.
func Open(root string, opt Options) *Work {
	opt.Workers = max(opt.Workers, 1)
	w := &Work{root: root, opt: opt, index: loadIndex(filepath.Join(root, Dir, "index"))}
	w.bufs.New = func() any { b := make([]byte, bufSize); return &b }
	return w
}

// Root returns the absolute directory.
func (w *Work) Root() string { return w.root }

// OS returns where p lies in the file system.
func (w *Work) OS(p repopath.Path) string {
	return filepath.Join(w.root, filepath.FromSlash(string(p)))
}

// Prepare makes pipe's own directory, which git ignores by a file inside it.
func (w *Work) Prepare() error {
	dir := filepath.Join(w.root, Dir)
	if err := os.MkdirAll(filepath.Join(dir, "tmp"), 0o777); err != nil {
		return err
	}
	ignore := filepath.Join(dir, ".gitignore")
	if _, err := os.Lstat(ignore); err == nil {
		return nil
	}
	return os.WriteFile(ignore, []byte("*\n"), 0o666)
}

// Tmp returns the directory for temporary files, on the workspace's file system.
func (w *Work) Tmp() string { return filepath.Join(w.root, Dir, "tmp") }

// SaveIndex writes the stat index if it changed. Losing it costs time, never truth.
func (w *Work) SaveIndex() error {
	if _, err := os.Stat(filepath.Join(w.root, Dir)); errors.Is(err, fs.ErrNotExist) {
		return nil // a question makes no directories
	}
	return w.index.save()
}

// ErrAbsent says that nothing lies at a path.
var ErrAbsent = errors.New("no such file or directory")

// Output reads what lies at an out's path: a file, or a directory as a tree that
// keeps executable bits, symlinks and empty directories. Ignore rules do not
// apply. The tree is nil for a file. Nothing there is ErrAbsent; a socket or
// device, or a symlink that leaves the tree, is an error.
func (w *Work) Output(ctx context.Context, p repopath.Path) (artifact.Output, *object.Tree, error) {
	return w.output(ctx, p, nil)
}

// absent turns the system's words for "nothing there" into ErrAbsent.
func absent(p repopath.Path, err error) error {
	var perr *fs.PathError
	if errors.Is(err, fs.ErrNotExist) || errors.As(err, &perr) && isNotDir(perr.Err) {
		return fmt.Errorf("%s: %w", p, ErrAbsent)
	}
	return err
}

func typeWord(m fs.FileMode) string {
	switch {
	case m&fs.ModeSymlink != 0:
		return "symlink"
	case m&fs.ModeSocket != 0:
		return "socket"
	case m&fs.ModeNamedPipe != 0:
		return "named pipe"
	case m&fs.ModeDevice != 0:
		return "device"
	}
	return "special file"
}

// file returns the digest of the file at p, symlinks followed, from the index or
// by reading it, into the sink if there is one.
func (w *Work) file(ctx context.Context, p repopath.Path, sink store.Batch) (digest.Digest, stat, error) {
	st, kind, err := statPath(w.OS(p))
	if err != nil {
		return digest.Digest{}, st, absent(p, err)
	}
	if kind != kindFile {
		return digest.Digest{}, st, diag.New(diag.Failed, "is no regular file").At(string(p))
	}
	if d, ok := w.index.single(string(p), st); ok {
		return d, st, nil
	}
	d, st, hashed, err := w.read(ctx, w.OS(p), sink)
	if err == nil {
		w.index.setSingle(string(p), fileRec{stat: st, hashed: hashed, digest: d})
	}
	return d, st, err
}

// hash reads a file. A file that changes meanwhile is read again, then refused.
func (w *Work) hash(path string) (d digest.Digest, st stat, hashed int64, err error) {
	buf := w.bufs.Get().(*[]byte)
	defer w.bufs.Put(buf)
	const tries = 3
	for range tries {
		var after stat
		d, st, after, hashed, err = hashOnce(path, *buf)
		if err != nil || st == after {
			return d, st, hashed, err
		}
	}
	return d, st, hashed, diag.New(diag.Failed, "is being written to while it is read").At(path).Hinted("wait for the writer to end, then run pipe again")
}

func hashOnce(path string, buf []byte) (d digest.Digest, before, after stat, hashed int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return d, before, after, 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	hashed = now()
	if before, err = statFile(f); err != nil {
		return d, before, after, hashed, err
	}
	if d, _, err = digest.NewHasher().Copy(nil, f, buf); err != nil {
		return d, before, after, hashed, err
	}
	after, err = statFile(f)
	return d, before, after, hashed, err
}
