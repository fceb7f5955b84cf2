package gitlog

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// errNoProgram says that there is no git program on the PATH.
var errNoProgram = errors.New("no git program on the PATH")

// program returns the path of the git program.
func (r *Repo) program() (string, error) {
	for _, dir := range filepath.SplitList(r.env.get("PATH")) {
		if !filepath.IsAbs(dir) {
			continue
		}
		if p, err := exec.LookPath(filepath.Join(dir, "git")); err == nil {
			return p, nil
		}
	}
	return "", errNoProgram
}

// git runs the git program on this repository and returns what it printed. A
// hook's own GIT_DIR, GIT_INDEX_FILE and their like do not reach it.
func (r *Repo) git(ctx context.Context, env []string, args ...string) ([]byte, error) {
	bin, err := r.program()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, bin, args...)
	cmd.Dir = r.root
	for _, kv := range r.env {
		if name, _, _ := strings.Cut(kv, "="); !isLocal(name) {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	cmd.Env = append(append(cmd.Env, "GIT_DIR="+r.gitDir, "GIT_WORK_TREE="+r.root), env...)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil, fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(string(exit.Stderr)))
	}
	return out, err
}

// isLocal reports whether an environment variable ties git to one repository: git rev-parse --local-env-vars.
func isLocal(name string) bool {
	switch name {
	case "GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY",
		"GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_PREFIX", "GIT_GRAFT_FILE", "GIT_SHALLOW_FILE", "GIT_NAMESPACE":
		return true
	}
	return false
}
