package pipe

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Hashed is a path and its hash.
type Hashed struct {
	Path string        `json:"path"`          // relative to the project; absolute outside; - for stdin
	Hash digest.Digest `json:"hash"`          // of the bytes, or of the tree
	Of   string        `json:"of,omitempty"`  // which hash that is, where there may be several
	Dir  bool          `json:"dir,omitempty"` // a directory
	Size int64         `json:"size"`          // bytes; of all files

	Arg string `json:"-"` // the path as it was given
}

// What a Hashed is the hash of, unless it is simply a file's: its bytes, as b3sum hashes them.
const (
	OfTree   = "tree"   // all files of a directory, as of an output
	OfInput  = "input"  // the files that git does not ignore, with recorded outputs for those inside, as of a dependency
	OfRecord = "record" // an output that is not in the workspace, as pipe.lock has it
)

// Hash returns what pipe takes the hash of each path to be, anywhere: of a file its
// BLAKE3-256; in the project of opt what its stages see in PIPE_HASH_ variables; of a directory
// elsewhere what an output with these files would have. The name "-" is stdin. No project is
// needed for what lies outside of one. A path that cannot be hashed keeps no other back.
func Hash(ctx context.Context, opt Options, stdin io.Reader, paths []string) (all []Hashed, err error) {
	root, err := findRoot(opt.Dir)
	if err != nil && !errors.Is(err, errNoProject) {
		return nil, err
	}
	h := hashing{opt: opt, root: root, stdin: stdin}
	err = nil
	for _, name := range paths {
		one, herr := h.one(ctx, name)
		if herr == nil {
			one.Arg = name
			all = append(all, one)
		}
		if err = errors.Join(err, herr); ctx.Err() != nil || h.broken {
			break
		}
	}
	if h.p != nil {
		err = errors.Join(err, h.p.Close())
	}
	return all, err
}

// hashing is one call of Hash.
type hashing struct {
	opt    Options
	root   string // of the project; empty: there is none
	p      *Project
	outs   map[repopath.Path]artifact.Output
	broken bool // it cannot be opened
	stdin  io.Reader
}

func (h *hashing) one(ctx context.Context, name string) (Hashed, error) {
	if name == "-" {
		d, n, err := digest.NewHasher().Copy(ctx, nil, h.stdin, make([]byte, hashBuffer))
		return Hashed{Path: name, Hash: d, Size: n}, err
	}
	if name == "" {
		return Hashed{}, diag.New(diag.Usage, "the name of a file is empty").Hinted("pipe hash FILE")
	}
	at, err := worktree.Resolve(h.opt.Dir, name)
	if err != nil {
		return Hashed{}, err
	}
	rel, err := filepath.Rel(h.root, at)
	if h.root == "" || err != nil || !filepath.IsLocal(rel) {
		return hashAlone(ctx, name, at)
	}
	if h.p == nil {
		if h.p, err = Open(ctx, h.opt); err == nil {
			h.outs, err = h.p.recorded()
		}
		if h.broken = err != nil; h.broken {
			return Hashed{}, err
		}
	}
	return h.p.hash(ctx, name, h.outs)
}

// hash hashes one path, given as the user wrote it where pipe runs. outs are the recorded ones.
func (p *Project) hash(ctx context.Context, name string, outs map[repopath.Path]artifact.Output) (Hashed, error) {
	at, err := p.work.Inside(p.opt.Dir, name)
	if err != nil {
		abs, rerr := worktree.Resolve(p.opt.Dir, name)
		if rerr != nil {
			return Hashed{}, rerr
		}
		return hashAlone(ctx, name, abs)
	}
	o, err := p.inputs.Hash(ctx, at, outs)
	if err != nil {
		return Hashed{}, missingPath(name, err)
	}
	h := Hashed{Path: string(at), Hash: o.Digest, Dir: o.Dir, Size: o.Size}
	if _, err := p.work.Kind(at); errors.Is(err, worktree.ErrAbsent) {
		h.Of = OfRecord
	} else if o.Dir {
		h.Of = OfInput
		for up := at; up != repopath.Root; up = up.Dir() {
			if _, ok := outs[up]; ok {
				h.Of = OfTree
			}
		}
	}
	return h, nil
}

// recorded returns the outputs of all stages. One of which nothing is recorded is among
// them, so that it is not read as a source directory.
func (p *Project) recorded() (map[repopath.Path]artifact.Output, error) {
	lock, err := p.lock()
	if err != nil {
		return nil, err
	}
	outs := map[repopath.Path]artifact.Output{}
	for i := range p.spec.Stages {
		s := &p.spec.Stages[i]
		for _, o := range s.Outs {
			outs[o.Path] = artifact.Output{Path: o.Path}
		}
		if l := lock.Stage(s.Name); l != nil {
			for _, o := range l.Outs {
				if s.Out(o.Path) != nil {
					outs[o.Path] = o
				}
			}
		}
	}
	return outs, nil
}

// hashBuffer is read at once: beyond 256 KiB hashing gets no faster.
const hashBuffer = 256 << 10

// hashAlone hashes a file or a directory that no project says anything about. Symlinks that
// lead to it are followed.
func hashAlone(ctx context.Context, name, at string) (Hashed, error) {
	real, err := filepath.EvalSymlinks(at)
	if worktree.Gone(err) {
		return Hashed{}, diag.New(diag.NotFound, "no such file or directory").At(name)
	}
	if err != nil {
		return Hashed{}, err
	}
	info, err := os.Stat(real)
	if err != nil {
		return Hashed{}, err
	}
	if !info.IsDir() {
		return hashFile(ctx, name, at)
	}
	base, err := repopath.FromOS(filepath.Base(real))
	if err != nil {
		return Hashed{}, diag.New(diag.Usage, "cannot hash this directory: %w", err).At(name)
	}
	w, err := worktree.Open(filepath.Dir(real), worktree.Options{Workers: runtime.GOMAXPROCS(0), Foreign: true})
	if err != nil {
		return Hashed{}, err
	}
	o, _, err := w.Output(ctx, base)
	return Hashed{Path: at, Hash: o.Digest, Of: OfTree, Dir: true, Size: o.Size}, errors.Join(err, w.Close())
}

// hashFile hashes a regular file, whatever its name is.
func hashFile(ctx context.Context, name, at string) (h Hashed, err error) {
	f, err := atomicfile.Open(at)
	if errors.Is(err, atomicfile.ErrSpecial) {
		return Hashed{}, diag.New(diag.Failed, "not a regular file").At(name).Hinted("pipe hash - < %s", name)
	}
	if err != nil {
		return Hashed{}, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	before, err := f.Stat()
	if err != nil {
		return Hashed{}, err
	}
	d, n, err := digest.NewHasher().Copy(ctx, nil, f, make([]byte, hashBuffer))
	if err != nil {
		return Hashed{}, err
	}
	after, err := f.Stat()
	if err == nil && (before.Size() != after.Size() || !before.ModTime().Equal(after.ModTime())) {
		err = diag.New(diag.Failed, "is being written to while pipe reads it").At(name).Hinted("wait for the writer to finish, then run pipe again")
	}
	return Hashed{Path: at, Hash: d, Size: n}, err
}

// missingPath turns the faults of a path that is in neither workspace nor lock into one of
// kind not-found.
func missingPath(name string, err error) error {
	var d *diag.Error
	if errors.As(err, &d) && d.Kind == diag.Usage || errors.Is(err, worktree.ErrAbsent) {
		return diag.New(diag.NotFound, "no such file or directory, in the workspace or in pipe.lock").At(name).Hinted("pipe pull")
	}
	return err
}
