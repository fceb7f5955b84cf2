package pipe

import (
	"context"
	"errors"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Hashed is a path and its hash.
type Hashed struct {
	Path string        `json:"path"`          // relative to the project
	Hash digest.Digest `json:"hash"`          // of the bytes, or of the tree
	Dir  bool          `json:"dir,omitempty"` // a directory
	Size int64         `json:"size"`          // bytes; of all files
}

// Hash returns what pipe takes the hash of each path to be: of a file its
// BLAKE3-256, which b3sum prints; of an output directory its tree's; of another
// directory that of its files that git does not ignore, with recorded outs
// standing for those inside it: the same as a stage sees in PIPE_HASH_ variables.
func (p *Project) Hash(ctx context.Context, paths []string) ([]Hashed, error) {
	lock, err := p.lock()
	if err != nil {
		return nil, err
	}
	outs := map[repopath.Path]artifact.Output{}
	for i := range p.spec.Stages {
		s := &p.spec.Stages[i]
		for _, o := range s.Outs {
			// Known as an output even when nothing is recorded, so that it is not read as a
			// source directory.
			outs[o.Path] = artifact.Output{Path: o.Path}
			if l := lock.Stage(s.Name); l != nil {
				for _, recorded := range l.Outs {
					if recorded.Path == o.Path {
						outs[o.Path] = recorded
					}
				}
			}
		}
	}
	var all []Hashed
	for _, name := range paths {
		h, err := p.hashOne(ctx, name, outs)
		if err != nil {
			return nil, err
		}
		all = append(all, h)
	}
	return all, nil
}

// hashOne hashes one path, given as the user wrote it where pipe runs.
func (p *Project) hashOne(ctx context.Context, name string, outs map[repopath.Path]artifact.Output) (Hashed, error) {
	at, err := p.work.Inside(p.opt.Dir, name)
	if err != nil {
		return Hashed{}, err
	}
	o, err := p.inputs.Hash(ctx, at, outs)
	if err != nil {
		return Hashed{}, missingPath(name, err)
	}
	return Hashed{Path: string(at), Hash: o.Digest, Dir: o.Dir, Size: o.Size}, nil
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
