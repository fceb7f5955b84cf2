package pipe

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/local"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/transfer"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// GetOptions say what Get gets, and where to.
type GetOptions struct {
	Path   string    // of an output or inside one, as written in the directory where pipe runs
	Rev    string    // whose pipe.lock names it; empty: the workspace's
	Output string    // a new file or directory; empty: the path's last element, in the directory where pipe runs
	To     io.Writer // gets the bytes of a file in place of Output; may be nil
}

// Got is what Get got.
type Got struct {
	Path  string        `json:"path"`             // in the project
	Stage string        `json:"stage"`            // that makes it
	Hash  digest.Digest `json:"hash"`             // of it
	Size  int64         `json:"size"`             // in bytes
	Rev   string        `json:"commit,omitempty"` // whose pipe.lock names it
	Wrote string        `json:"wrote,omitempty"`  // file or directory
}

// Get writes the bytes of an output, or of a path inside one, to a place of its own. Neither the
// workspace's outputs nor pipe.lock change. It overwrites nothing, but to find the same bytes at
// the place is a success. Every byte is verified before the first is written to opt.To.
func (p *Project) Get(ctx context.Context, opt GetOptions) (g *Got, err error) {
	at, err := p.work.Inside(p.opt.Dir, opt.Path)
	if err != nil {
		return nil, err
	}
	if opt.Output == "" {
		opt.Output = at.Base()
	}
	to := p.here(opt.Output)
	if opt.To == nil {
		if err := p.notAnOutput(to); err != nil {
			return nil, err
		}
	}
	unlock, err := p.useCache(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	c, err := p.carry(ctx)
	if err != nil {
		return nil, err
	}
	w, err := p.lookUp(ctx, c, at, opt.Rev)
	if err == nil {
		err = c.Fetch(ctx, w.files)
	}
	if err != nil {
		return nil, transfer.Explained(err)
	}
	g = &Got{Path: string(at), Stage: w.Stage, Hash: w.Digest, Size: w.Size, Rev: opt.Rev}
	if opt.To != nil {
		return g, p.stream(ctx, c, w, opt.To)
	}
	g.Wrote = to
	return g, transfer.Explained(p.export(ctx, c, w, to))
}

// notAnOutput refuses to write where a stage's output belongs: that is what pull is for.
func (p *Project) notAnOutput(to string) error {
	at, err := p.work.Inside(p.opt.Dir, to)
	if err != nil {
		return nil //nolint:nilerr // it is outside the project
	}
	if s, _ := inside(p.spec, at); s != nil {
		return diag.New(diag.Usage, "is an output of stage %s, which pipe get does not write", s.Name).At(string(at)).
			Hinted("choose another file with -o, or run pipe pull %s", at)
	}
	return nil
}

// lookUp finds the path in the workspace's lock or in that of a commit, with the pipe.yaml beside it.
func (p *Project) lookUp(ctx context.Context, c *transfer.Carrier, at repopath.Path, rev string) (*wanted, error) {
	project, where := p.spec, lockfile.FileName
	lock, err := p.lock()
	if rev != "" {
		where += " at " + rev
		project, lock, err = p.atRev(ctx, rev)
	}
	if err != nil {
		return nil, err
	}
	s, _ := inside(project, at)
	if s == nil {
		return nil, diag.New(diag.NotFound, "no stage makes it in the %s beside %s", spec.FileName, where).At(string(at)).
			Hinted("pipe dag lists the stages; git keeps other files: git show REV:./%s", at)
	}
	l := lock.Stage(s.Name)
	if !fits(project, l) {
		return nil, diag.New(diag.NotFound, "%s has no stage %s", where, s.Name).Hinted("choose a commit in which it was built: git log -- %s", lockfile.FileName)
	}
	return within(ctx, c, project, l, at)
}

// atRev reads the project's files in a commit.
func (p *Project) atRev(ctx context.Context, rev string) (*spec.Project, *lockfile.File, error) {
	if p.repo == nil {
		return nil, nil, diag.New(diag.Usage, "not in a git repository").At(p.root).Hinted("git init")
	}
	found, err := p.snapshots(ctx, RevOptions{Revs: []string{rev}})
	if err != nil {
		return nil, nil, err
	}
	return p.parsed(found[0])
}

// export writes what was fetched to a new file or directory.
func (p *Project) export(ctx context.Context, c *transfer.Carrier, w *wanted, to string) error {
	if _, err := os.Lstat(to); err == nil {
		// The same again is no reason to fail: a run that was killed may have got this far.
		if local.Holds(ctx, to, w.Digest, p.workers()) {
			return nil
		}
		return diag.New(diag.Usage, "already exists, with other content").At(to).Hinted("choose another file with -o")
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var t *object.Tree
	if w.Dir {
		t, _ = w.tree.Sub(w.whole.Path.Rel(w.Path))
		if err := t.Check(); err != nil {
			return diag.New(diag.Usage, "a symlink in it leads to another part of %s", w.whole.Path).At(string(w.Path)).
				Hinted("pipe get %s -o DIR", w.whole.Path)
		}
	}
	if err := p.work.Prepare(); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Dir(to)); errors.Is(err, fs.ErrNotExist) {
		return diag.New(diag.Usage, "no such directory").At(filepath.Dir(to)).Hinted("mkdir -p %s", filepath.Dir(to))
	}
	return p.files(c).Write(ctx, w.Output, t, to)
}

// stream writes a fetched file's bytes, after all of them were verified: what reads them may act on
// the first.
func (p *Project) stream(ctx context.Context, c *transfer.Carrier, w *wanted, to io.Writer) error {
	if w.Dir {
		return diag.New(diag.Usage, "is a directory, which cannot be written to standard output").At(string(w.Path)).Hinted("pipe get %s -o DIR", w.Path)
	}
	return transfer.Explained(p.files(c).Copy(ctx, w.Output, to))
}
