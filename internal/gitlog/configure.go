package gitlog

import "context"

// IsSet reports whether git has a value for a setting, in any of its configuration files.
func (r *Repo) IsSet(ctx context.Context, name string) bool {
	_, err := r.git(ctx, nil, "config", "--get", name)
	return err == nil
}

// Configure sets a value in the configuration of this clone, which its linked worktrees share.
func (r *Repo) Configure(ctx context.Context, name, value string) error {
	_, err := r.git(ctx, nil, "config", "--local", name, value)
	return err
}
