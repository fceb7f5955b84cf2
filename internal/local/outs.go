package local

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// saveOuts hashes what the command made into the cache, but for the outputs that
// are not cached, of which git keeps the bytes.
func (r *Runner) saveOuts(ctx context.Context, job *action.Job) ([]artifact.Output, error) {
	var outs []artifact.Output
	for _, o := range job.Stage.Outs {
		out, err := r.saveOut(ctx, o)
		if errors.Is(err, worktree.ErrAbsent) {
			return nil, diag.New(diag.Stage, "%s: the command succeeded but did not create %s", job.Stage.Name, o.Path).At(o.Place).
				Hinted("correct the path in outs or the command")
		}
		if err != nil {
			return nil, err
		}
		if o.Dir && !out.Dir {
			return nil, diag.New(diag.Stage, "%s: the output %s/ is a file, not a directory", job.Stage.Name, o.Path).At(o.Place).
				Hinted("remove the slash at its end")
		}
		outs = append(outs, out)
	}
	return outs, nil
}

// saveOut saves one output. With cache: false it is only hashed.
func (r *Runner) saveOut(ctx context.Context, o spec.Out) (out artifact.Output, err error) {
	if o.NoCache {
		out, _, err = r.Work.Output(ctx, o.Path)
	} else {
		out, err = r.Work.Save(ctx, r.Cache, o.Path)
	}
	if err != nil || !o.SHA256 {
		return out, err
	}
	if out.Dir {
		return out, diag.New(diag.Stage, "sha256 needs a file, but output %s is a directory", o.Path).At(o.Place).Hinted("remove sha256: true")
	}
	out.SHA256, err = r.sha256(ctx, o.Path, out.Digest)
	return out, err
}

// sha256 reads the file once more: the few files that need this hash are not worth
// a second one in every copy. It is of the very bytes that want names.
func (r *Runner) sha256(ctx context.Context, p repopath.Path, want digest.Digest) (_ string, err error) {
	f, err := r.Work.ReadOut(p)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	// Both hashes come from one reading: two would leave room for a writer between them.
	other := sha256.New()
	got, _, err := digest.NewHasher().Copy(ctx, other, f, make([]byte, 256<<10))
	if err != nil {
		return "", err
	}
	if got != want {
		return "", diag.New(diag.Failed, "is being written to while pipe saves it").At(string(p)).
			Hinted("a process that the command started is still writing; make the command wait for it")
	}
	return hex.EncodeToString(other.Sum(nil)), nil
}
