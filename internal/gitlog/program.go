package gitlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/pipe-build/pipe/internal/diag"
)

// errNoProgram says that there is no git program on the PATH.
var errNoProgram = &diag.Error{Kind: diag.Failed, What: "git is not on the PATH", Hint: "install git"}

// program returns the path of a program.
func (r *Repo) program(name string) (string, error) {
	path := ""
	for _, kv := range r.env {
		if v, ok := strings.CutPrefix(kv, "PATH="); ok {
			path = v
		}
	}
	for _, dir := range filepath.SplitList(path) {
		if !filepath.IsAbs(dir) {
			continue
		}
		if p, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return p, nil
		}
	}
	if name == "git" {
		return "", errNoProgram
	}
	return "", fmt.Errorf("%s is not on the PATH", name)
}

// command is a call of the git program on this repository. No hook runs, and
// what is written is durable. A hook's own GIT_DIR, GIT_INDEX_FILE and their
// like do not reach it.
func (r *Repo) command(ctx context.Context, args ...string) (*exec.Cmd, error) {
	bin, err := r.program("git")
	if err != nil {
		return nil, err
	}
	settings := []string{"--literal-pathspecs", "-c", "core.hooksPath=" + os.DevNull, "-c", "core.fsync=all"}
	cmd := exec.CommandContext(ctx, bin, append(settings, args...)...)
	cmd.Dir = r.root
	for _, kv := range r.env {
		if name, _, _ := strings.Cut(kv, "="); !isLocal(name) {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	cmd.Env = append(cmd.Env, "GIT_DIR="+r.gitDir, "GIT_WORK_TREE="+r.root)
	return cmd, nil
}

// git runs the git program on this repository and returns what it printed.
func (r *Repo) git(ctx context.Context, in io.Reader, args ...string) ([]byte, error) {
	cmd, err := r.command(ctx, args...)
	if err != nil {
		return nil, err
	}
	cmd.Stdin = in
	return output(cmd)
}

func output(cmd *exec.Cmd) ([]byte, error) {
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return nil, fmt.Errorf("git %s: %w: %s", verb(cmd), err, strings.TrimSpace(string(exit.Stderr)))
	}
	return out, err
}

// verb returns the command's name, which stands behind git's own options.
func verb(cmd *exec.Cmd) string {
	for i := 1; i < len(cmd.Args); i++ {
		switch a := cmd.Args[i]; {
		case a == "-c":
			i++
		case a[0] != '-':
			return a
		}
	}
	return ""
}

// failed reports whether git ran and said no.
func failed(err error) bool {
	exit := (*exec.ExitError)(nil)
	return errors.As(err, &exit) && exit.Exited()
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

const (
	// lockWait is how long git's locks are waited for: git commit holds the index for less than
	// a second in a repository of 100,000 files, so a longer hold is an editor or a crash.
	lockWait = 5 * time.Second
	lockPoll = 2 * time.Millisecond
)

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
