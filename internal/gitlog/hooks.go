package gitlog

import (
	"context"
	"path/filepath"
	"strings"
)

// Hooks returns the directory from which git runs hooks: the one that all worktrees share, or
// what core.hooksPath says. It need not exist.
func (r *Repo) Hooks(ctx context.Context) (string, error) {
	cmd, err := r.plain(ctx, "rev-parse", "--git-path", "hooks")
	if err != nil {
		return "", err
	}
	out, err := output(cmd)
	dir := strings.TrimSuffix(string(out), "\n")
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(r.root, dir)
	}
	return dir, err
}
