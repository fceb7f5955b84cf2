package pipe

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
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
	w, c, err := p.lookUp(ctx, c, at, opt.Rev)
	if err != nil {
		return nil, transfer.Explained(err)
	}
	g = &Got{Path: string(at), Stage: w.Stage, Hash: w.Digest, Size: w.Size, Rev: opt.Rev}
	if opt.To != nil {
		return g, transfer.Explained(p.stream(ctx, c, w, opt.To))
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

// lookUp finds the path in the workspace's lock or in that of a commit, with the pipe.yaml beside it,
// and returns the carrier of its bytes, too.
func (p *Project) lookUp(ctx context.Context, c *transfer.Carrier, at repopath.Path, rev string) (*wanted, *transfer.Carrier, error) {
	project, where := p.spec, lockfile.FileName
	lock, err := p.lock()
	if rev != "" {
		where += " at " + rev
		if project, lock, err = p.atRev(ctx, rev); err == nil {
			own, oerr := p.own(ctx, project)
			c, err = c.With(own), oerr
		}
	}
	if err != nil {
		return nil, nil, err
	}
	s, _ := inside(project, at)
	if s == nil {
		return nil, nil, diag.New(diag.NotFound, "no stage makes it in the %s beside %s", spec.FileName, where).At(string(at)).
			Hinted("pipe stage list shows the stages; git keeps other files: git show REV:./%s", at)
	}
	l := lock.Stage(s.Name)
	if !fits(project, l) {
		return nil, nil, diag.New(diag.NotFound, "%s has no stage %s", where, s.Name).Hinted("choose a commit in which it was built: git log -- %s", lockfile.FileName)
	}
	w, err := within(ctx, c, project, l, at)
	if err != nil || w.tree == nil {
		return w, c, err
	}
	// It has no bytes of its own, and what it leads to is not beside the new file.
	if e, ok := w.tree.Find(w.whole.Path.Rel(at)); ok && e.Kind == object.Symlink {
		return nil, nil, diag.New(diag.Usage, "is a symlink to %s", e.Target).At(string(at)).Hinted("pipe get %s", path.Join(string(at.Dir()), e.Target))
	}
	return w, c, nil
}

// atRev reads the project's files in a commit.
func (p *Project) atRev(ctx context.Context, rev string) (*spec.Project, *lockfile.File, error) {
	if err := p.needGit(); err != nil {
		return nil, nil, err
	}
	found, err := p.snapshots(ctx, RevOptions{Revs: []string{rev}})
	if err != nil {
		return nil, nil, err
	}
	return p.parsed(ctx, found[0])
}

// export brings what is wanted to a new file or directory.
func (p *Project) export(ctx context.Context, c *transfer.Carrier, w *wanted, to string) error {
	var t *object.Tree
	if w.Dir {
		t, _ = w.tree.Sub(w.whole.Path.Rel(w.Path))
		if err := t.Check(); err != nil {
			return diag.New(diag.Usage, "a symlink in it leads to another part of %s", w.whole.Path).At(string(w.Path)).
				Hinted("pipe get %s -o DIR", w.whole.Path)
		}
	}
	if done, err := p.placed(ctx, to, w.Digest); done || err != nil {
		return err
	}
	if err := c.Fetch(ctx, w.files); err != nil {
		return err
	}
	return p.files(c).Export(ctx, w.Output, t, to)
}

// placed reports whether what is to be written lies at a place already: a run that was killed may
// have got this far. It refuses a place where nothing new can be made.
func (p *Project) placed(ctx context.Context, to string, want digest.Digest) (bool, error) {
	switch _, err := os.Lstat(to); {
	case err == nil && local.Holds(ctx, to, want, p.workers()):
		return true, nil
	case err == nil:
		return false, diag.New(diag.Usage, "already exists, with other content").At(to).Hinted("choose another file with -o")
	case !errors.Is(err, fs.ErrNotExist):
		return false, err
	}
	if _, err := os.Stat(filepath.Dir(to)); errors.Is(err, fs.ErrNotExist) {
		return false, diag.New(diag.Usage, "no such directory").At(filepath.Dir(to)).Hinted("mkdir -p %s", filepath.Dir(to))
	}
	return false, nil
}

// stream writes a file's bytes, after all of them were verified: what reads them may act on the
// first.
func (p *Project) stream(ctx context.Context, c *transfer.Carrier, w *wanted, to io.Writer) error {
	if w.Dir {
		return diag.New(diag.Usage, "is a directory, which cannot be written to standard output").At(string(w.Path)).Hinted("pipe get %s -o DIR", w.Path)
	}
	if err := c.Fetch(ctx, w.files); err != nil {
		return err
	}
	return p.files(c).Copy(ctx, w.Output, to)
}
