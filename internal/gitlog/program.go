package gitlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/process"
)

// errNoProgram says that there is no git program on the PATH.
var errNoProgram = &diag.Error{Kind: diag.Failed, What: "git is not on the PATH", Hint: "install git"}

// program returns the path of a program in the PATH of the Repo's own environment, which
// need not be the process's.
func (r *Repo) program(name string) (string, error) {
	if p := process.Find(r.env, name, ""); p != "" {
		return p, nil
	}
	if name == "git" {
		return "", errNoProgram
	}
	return "", fmt.Errorf("%s is not on the PATH", name)
}

// command is a call of the git program on this repository. No hook runs, and
// what is written is durable. Paths among the arguments are names and not
// patterns (--literal-pathspecs). When pipe is called from a git hook, the hook's
// GIT_DIR, GIT_INDEX_FILE and their like name the repository and the index of the
// git that runs; they do not reach the command. A caller that wants another index
// appends to Env, where the last value counts.
func (r *Repo) command(ctx context.Context, args ...string) (*exec.Cmd, error) {
	settings := []string{"--literal-pathspecs", "-c", "core.hooksPath=" + os.DevNull, "-c", "core.fsync=all"}
	return r.plain(ctx, append(settings, args...)...)
}

// plain is command with the user's settings alone, for questions about them.
func (r *Repo) plain(ctx context.Context, args ...string) (*exec.Cmd, error) {
	bin, err := r.program("git")
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, bin, args...)
	cmd.Dir = r.root
	cmd.Env = append(r.unbound(), "GIT_DIR="+r.gitDir, "GIT_WORK_TREE="+r.root)
	if r.objectDir != "" {
		own := strconv.Quote(filepath.Join(r.commonDir, "objects")) // in quotes a list's separator may be in it
		cmd.Env = append(cmd.Env, "GIT_OBJECT_DIRECTORY="+r.objectDir, "GIT_ALTERNATE_OBJECT_DIRECTORIES="+own)
	}
	return cmd, nil
}

// unbound returns the environment without what ties git to a repository.
func (r *Repo) unbound() (env []string) {
	for _, kv := range r.env {
		if name, _, _ := strings.Cut(kv, "="); !isLocal(name) {
			env = append(env, kv)
		}
	}
	return env
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

// output runs a command and returns what it printed. What it said on standard error
// becomes part of the error, which still wraps the *exec.ExitError for failed.
func output(cmd *exec.Cmd) ([]byte, error) {
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return nil, fmt.Errorf("git %s in %s: %w: %s", verb(cmd), cmd.Dir, err, strings.TrimSpace(string(exit.Stderr)))
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

// failed reports whether git ran and said no. It is false for a git that could not
// be started or was killed: that is no answer to the question.
func failed(err error) bool {
	exit := (*exec.ExitError)(nil)
	return errors.As(err, &exit) && exit.Exited()
}

// isLocal reports whether an environment variable ties git to one repository: see
// git rev-parse --local-env-vars. Those of its names that carry settings, such as
// GIT_CONFIG_COUNT, are left out here: the settings are the user's and hold.
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
	// longestTalk ends an ssh that hears nothing, which waits for ever; over http git looks itself. A
	// lock's commit takes seconds.
	longestTalk = 10 * time.Minute
	// lockPoll is the time between two looks at a lock file; a look is one lstat.
	lockPoll = 2 * time.Millisecond
)

// exists reports whether there is anything at a path, a dangling symlink included.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
