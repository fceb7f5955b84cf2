package gitlog

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
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

// runs reports whether git would run a hook's file.
func runs(hook string) bool {
	info, err := os.Stat(hook)
	return err == nil && info.Mode().IsRegular() && (runtime.GOOS == "windows" || info.Mode().Perm()&0o111 != 0)
}

// askHook runs one hook at the top of the work tree, as git commit does, and refuses where it does.
// By way of a shell: it knows, on Windows too, what a script's first line means, or that there is none.
func (u *publishing) askHook(ctx context.Context, hook string, args, env []string) error {
	sh, err := u.user.program("sh")
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, sh, append([]string{"-c", `exec "$0" "$@"`, hook}, args...)...)
	cmd.Dir = u.user.root
	cmd.Env = append(u.user.unbound(), append(env, "GIT_DIR="+u.user.gitDir)...)
	a, err := listen(ctx, cmd)
	if err != nil || a.exit == 0 {
		return err
	}
	text := said(a.stderr + a.stdout)
	if text == "" {
		text = fmt.Sprintf("it exited with status %d", a.exit)
	}
	return refuse(Hook, filepath.Base(hook)+": "+text)
}

// fillIndex makes an index that has what the commit will have. It begins with the user's, which
// knows the files that need not be read again.
func (u *publishing) fillIndex(ctx context.Context, index string, c *changed, parent string) error {
	own := filepath.Join(u.r.gitDir, "index")
	if b, err := readFile(own); err == nil {
		if err := copyIndex(own, index, b); err != nil {
			return err
		}
	}
	for _, call := range []struct {
		in   string
		args []string
	}{
		{"", []string{"read-tree", "--reset", parent}},
		{c.file.replace(u.Path), []string{"update-index", "-z", "--index-info"}},
	} {
		cmd, err := u.r.command(ctx, append([]string{"-c", "core.splitIndex=false", "-c", "core.fsmonitor=false"}, call.args...)...)
		if err != nil {
			return err
		}
		cmd.Env = append(cmd.Env, "GIT_INDEX_FILE="+index)
		cmd.Stdin = strings.NewReader(call.in)
		if _, err := output(cmd); err != nil {
			return err
		}
	}
	return nil
}
