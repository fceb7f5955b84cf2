package gitlog

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pipe-build/pipe/internal/diag"
)

// Ancestor reports whether commit a is b, or lies in its history; both are full hashes. In a clone
// that does not have enough of the history for an answer the remote origin is asked, by a
// repository of pipe's own: to deepen the user's would change it. known is false when neither can
// tell, because there is no origin, or it cannot be reached or does not have the commits.
func (r *Repo) Ancestor(ctx context.Context, a, b string) (yes, known bool, err error) {
	return r.ancestor(ctx, "origin", a, b)
}

// ancestor is Ancestor with another remote to ask.
func (r *Repo) ancestor(ctx context.Context, remote, a, b string) (yes, known bool, err error) {
	if a == b {
		return true, true, nil
	}
	yes, known, err = r.isAncestor(ctx, a, b)
	// In a shallow clone a no may be a yes behind the edge.
	if err != nil || known && (yes || !r.cut()) {
		return yes, known, err
	}
	url := r.Setting(ctx, "remote."+remote+".url")
	if url == "" {
		return false, false, nil
	}
	bounded, cancel := context.WithTimeout(ctx, r.longest)
	defer cancel()
	scratch, err := r.scratch(bounded, url, a, b)
	if scratch != nil {
		defer func() { err = errors.Join(err, os.RemoveAll(scratch.dir)) }()
	}
	if ctx.Err() != nil {
		return false, false, context.Cause(ctx)
	}
	if err != nil {
		return false, false, nil //nolint:nilerr // the origin cannot tell
	}
	cmd, err := scratch.command(ctx, "merge-base", "--is-ancestor", a, b)
	if err != nil {
		return false, false, err
	}
	return answer(cmd)
}

// isAncestor asks git about two commits that may not be here.
func (r *Repo) isAncestor(ctx context.Context, a, b string) (yes, known bool, err error) {
	cmd, err := r.command(ctx, "merge-base", "--is-ancestor", a, b)
	if err != nil {
		return false, false, err
	}
	cmd.Env = append(cmd.Env, "GIT_ALLOW_PROTOCOL=none") // in a partial clone git would fetch what is absent
	return answer(cmd)
}

// answer runs git merge-base --is-ancestor: 0 is yes, 1 is no, anything else that a commit is not
// here.
func answer(cmd *exec.Cmd) (yes, known bool, err error) {
	_, err = output(cmd)
	exit := (*exec.ExitError)(nil)
	switch {
	case err == nil:
		return true, true, nil
	case errors.As(err, &exit) && exit.ExitCode() == 1:
		return false, true, nil
	case failed(err):
		return false, false, nil
	}
	return false, false, err
}

// previewed reports whether HEAD of a shallow clone is in the history of a remote's branch, by a fetch
// of the commits alone that go from one to the other; they are thrown away. Only then a fetch brings
// no more than these: otherwise it would bring the branch's whole history, with all files.
func (r *Repo) previewed(ctx context.Context, remote, branch, tip string) (yes bool, err error) {
	tmp, err := os.MkdirTemp("", "pipe-history-")
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	q := *r
	q.objectDir = tmp
	a, err := q.talk(ctx, slices.Concat([]string{"-c", "remote." + remote + ".promisor=true", "-c", "remote." + remote + ".partialclonefilter=tree:0"},
		quietFetch(), []string{"--", remote, "refs/heads/" + branch})...)
	if err != nil {
		return false, err
	}
	if a.exit != 0 {
		return false, unanswered(a)
	}
	yes, _, err = q.isAncestor(ctx, "HEAD", tip)
	return yes, err
}

// scratch makes a repository that has the history of two commits and none of their files. It
// borrows nothing from the user's, whose edge it would inherit. The caller removes its directory,
// also after an error.
func (r *Repo) scratch(ctx context.Context, url, a, b string) (*Bare, error) {
	dir, err := os.MkdirTemp("", "pipe-history-")
	if err != nil {
		return nil, err
	}
	s := OpenBare(dir, BareOptions{Env: append(slices.Clone(r.env), r.access(ctx)...)})
	if err := s.Init(ctx, len(a)); err != nil {
		return s, err
	}
	if isLocalPath(url) {
		url = under(r.root, url)
	}
	fetch := []string{
		"-c", "remote.origin.promisor=true", "-c", "remote.origin.partialclonefilter=tree:0", "-c", "remote.origin.url=" + url,
		"fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--filter=tree:0", "origin",
	}
	_, err = s.git(ctx, nil, append(fetch, a, b)...)
	if failed(err) { // some servers give out no commit by its hash
		_, err = s.git(ctx, nil, append(fetch, "+refs/heads/*:refs/all/*")...)
	}
	return s, err
}

// access returns, as variables of git, what the repository's own configuration says about the way to a
// remote: actions/checkout keeps its token there. What the user's says reaches every repository.
func (r *Repo) access(ctx context.Context) (env []string) {
	out, err := r.git(ctx, nil, "config", "--show-scope", "--list", "-z")
	if err != nil {
		return nil // an old git, which says so itself when it is asked for a password
	}
	n, _ := strconv.Atoi(lookup(r.env, "GIT_CONFIG_COUNT"))
	fields := strings.Split(string(out), "\x00")
	for i := 0; i+1 < len(fields); i += 2 {
		scope, setting := fields[i], fields[i+1]
		key, value, hasValue := strings.Cut(setting, "\n")
		section, _, _ := strings.Cut(key, ".")
		if scope != "local" && scope != "worktree" || !hasValue || !slices.Contains([]string{"http", "credential", "url", "ssh"}, section) && key != "core.sshcommand" && key != "core.askpass" {
			continue
		}
		env = append(env, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", n, key), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", n, value))
		n++
	}
	return append(env, fmt.Sprintf("GIT_CONFIG_COUNT=%d", n))
}

// lookup returns the value of a variable, the last of them if there are several.
func lookup(env []string, name string) (value string) {
	for _, kv := range env {
		if k, v, _ := strings.Cut(kv, "="); k == name {
			value = v
		}
	}
	return value
}

// isLocalPath reports whether git takes a URL for a path: see git-fetch(1), GIT URLS.
func isLocalPath(url string) bool {
	colon, slash := strings.IndexByte(url, ':'), strings.IndexByte(url, '/')
	return colon < 0 || slash >= 0 && slash < colon
}

// Committed returns the committer's time of a commit, given by its full hash. It fails with
// diag.NotFound when the commit is not here.
func (r *Repo) Committed(ctx context.Context, hash string) (time.Time, error) {
	// Not git show: it compares trees all the same, and a partial clone fetches them.
	out, err := r.git(ctx, nil, "log", "--no-walk", "--no-show-signature", "--format=%cI", "--end-of-options", hash+"^{commit}")
	if failed(err) {
		return time.Time{}, diag.New(diag.NotFound, "no commit named %q", hash).Hinted("git fetch origin %s", hash)
	}
	if err != nil {
		return time.Time{}, err
	}
	return time.Parse(time.RFC3339, strings.TrimSpace(string(out)))
}
