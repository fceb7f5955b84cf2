package gitlog

import (
	"context"
	"errors"
	"os"
	"strings"
)

// TryPush asks a remote whether HEAD may be pushed to a branch, and changes nothing on either side; no hook runs. It
// returns why not, nil if the remote would take it. What protects the branch does not show before
// a real push, and that others have pushed meanwhile is no refusal.
func (r *Repo) TryPush(ctx context.Context, remote, branch string) (*Refusal, error) {
	if r.Setting(ctx, "remote."+remote+".url") == "" {
		return &Refusal{NoRemote, "git has no remote named " + remote}, nil
	}
	a, err := r.quiet().talk(ctx, "-c", "core.hooksPath="+os.DevNull, "push", "--dry-run", "--porcelain", "--no-follow-tags", "--recurse-submodules=no",
		"--", remote, "HEAD:refs/heads/"+branch)
	if no := (*refused)(nil); errors.As(err, &no) {
		return &no.Refusal, nil
	}
	if err != nil || a.exit == 0 || strings.Contains(a.stdout, "!\tHEAD:refs/heads/"+branch+"\t[rejected]") {
		return nil, err
	}
	text := said(a.stderr)
	return &Refusal{meaning(text, Unreachable), text}, nil
}
