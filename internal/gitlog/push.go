package gitlog

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// answered is what a call of git said to the end.
type answered struct {
	stdout, stderr string
	exit           int // -1: a signal
}

// talk is a call of git that reaches the remote, with the user's settings, credentials and hooks. It
// has no terminal, so that neither git nor ssh can ask for anything. The error says that git could not run, or is a
// refusal: git did not come to an end.
func (r *Repo) talk(ctx context.Context, args ...string) (*answered, error) {
	bounded, cancel := context.WithTimeout(ctx, r.longest)
	defer cancel()
	cmd, err := r.plain(bounded, append(transferSettings(), args...)...)
	if err != nil {
		return nil, err
	}
	a, err := listen(bounded, cmd)
	if bounded.Err() != nil && ctx.Err() == nil {
		return nil, refuse(Unreachable, fmt.Sprintf("git got no answer within %s", r.longest))
	}
	return a, err
}

// listen runs a command without a terminal to its end.
func listen(ctx context.Context, cmd *exec.Cmd) (*answered, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	alone(cmd)
	err := cmd.Run()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if cmd.ProcessState == nil {
		return nil, err
	}
	return &answered{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}, nil
}

// transferSettings are those of a git that reaches another repository: no upkeep of this one on the
// way, and a server that sends nothing for a minute is down.
func transferSettings() []string {
	return []string{
		"-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", "fetch.writeCommitGraph=false",
		"-c", "http.lowSpeedLimit=1", "-c", "http.lowSpeedTime=60",
	}
}

// ask returns the tips of the branches that matter, as the remote has them.
func (u *publishing) ask(ctx context.Context) (map[string]string, error) {
	args := []string{"ls-remote", "--quiet", "--", u.Remote, "refs/heads/" + u.Branch}
	if u.target() != u.Branch {
		args = append(args, "refs/heads/"+u.target())
	}
	a, err := u.r.talk(ctx, args...)
	if err != nil {
		return nil, err
	}
	if a.exit != 0 {
		return nil, unanswered(a)
	}
	tips := map[string]string{}
	for line := range strings.Lines(a.stdout) {
		hash, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if branch, ok := strings.CutPrefix(name, "refs/heads/"); ok && isHash(hash) {
			tips[branch] = hash // the patterns match ends of names, so there may be others
		}
	}
	return tips, nil
}

// quietFetch is a call of git fetch that changes no reference: if the push is refused, nothing has changed.
func quietFetch() []string {
	return []string{"fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--no-prune", "--refmap="}
}

// bring fetches the tips that are not here, and refuses when HEAD is not in the history of the
// branch. A shallow clone gets the commits behind HEAD, and of another history the tip alone.
func (u *publishing) bring(ctx context.Context, tips map[string]string) error {
	tip := tips[u.Branch]
	fetch := quietFetch()
	if u.r.cut() && !u.r.has(ctx, tip) {
		follows, err := u.r.previewed(ctx, u.Remote, u.Branch, tip)
		if err == nil && !follows {
			fetch = append(fetch, "--depth=1")
			err = u.mustContainHead(ctx, tip)
		}
		if err != nil {
			return err
		}
	}
	if err := u.fetch(ctx, u.Branch, tip, fetch); err != nil {
		return err
	}
	if err := u.mustContainHead(ctx, tip); err != nil || u.To == "" {
		return err
	}
	fetch = quietFetch()
	if u.r.cut() {
		fetch = append(fetch, "--depth=1") // only its tip is needed
	}
	return u.fetch(ctx, u.To, tips[u.To], fetch)
}

// fetch brings the tip of a branch, unless it is here or there is none.
func (u *publishing) fetch(ctx context.Context, branch, tip string, args []string) error {
	if tip == "" || u.r.has(ctx, tip) {
		return nil
	}
	a, err := u.r.talk(ctx, append(args, "--", u.Remote, "refs/heads/"+branch)...)
	switch {
	case err != nil:
		return err
	case u.r.has(ctx, tip):
		return nil
	case a.exit != 0:
		return unanswered(a)
	}
	return again(Moving, "the branch has moved")
}

// mustContainHead refuses when HEAD has commits that the branch lacks.
func (u *publishing) mustContainHead(ctx context.Context, tip string) error {
	head, err := u.r.Head(ctx)
	if err != nil || head.Unborn || head.Hash == tip || u.contains == tip {
		return err
	}
	ahead, _, err := u.r.isAncestor(ctx, tip, head.Hash)
	if err != nil {
		return err
	}
	var yes, known bool
	if !ahead {
		if yes, known, err = u.r.ancestor(ctx, u.Remote, head.Hash, tip); err != nil {
			return err
		}
	}
	switch {
	case yes:
		u.contains = tip
		return nil
	case !known && !ahead:
		return refuse(Ahead, fmt.Sprintf("cannot tell whether branch %s has commit %s", u.Branch, short(head.Hash)))
	}
	return refuse(Ahead, fmt.Sprintf("branch %s does not have commit %s, which is checked out", u.Branch, short(head.Hash)))
}

// has reports whether a commit is here.
func (r *Repo) has(ctx context.Context, commit string) bool {
	_, err := r.local(ctx, "cat-file", "-e", commit+"^{commit}")
	return err == nil
}

// push puts a commit on the target, whose tip must still be old; "": it must not be there. The lease
// makes that a compare-and-swap: as old is a parent of the commit, nothing is ever forced.
func (u *publishing) push(ctx context.Context, commit, old string) error {
	ref := "refs/heads/" + u.target()
	a, err := u.r.talk(ctx, "-c", "push.pushOption=", "push", "--porcelain", "--no-follow-tags", "--recurse-submodules=no",
		"--force-with-lease="+ref+":"+old, "--", u.Remote, commit+":"+ref)
	if err != nil || a.exit == 0 {
		return err
	}
	for line := range strings.Lines(a.stdout) {
		// See git-push(1), OUTPUT: flag, from:to, summary and reason.
		if status, ok := strings.CutPrefix(line, "!\t"+commit+":"+ref+"\t"); ok {
			return rejected(strings.TrimSpace(status), a.stderr)
		}
	}
	// git has got as far as to the hook, and no further; or the server broke off, as it does when it is ill.
	if a.exit == 1 && !strings.Contains(a.stderr, "the remote end hung up") {
		return refuse(Hook, said(a.stderr+a.stdout))
	}
	return unanswered(a)
}
