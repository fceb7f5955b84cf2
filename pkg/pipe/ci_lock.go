package pipe

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/ci"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/gitlog"
	"github.com/pipe-build/pipe/internal/runlog"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/pkg/lockfile"
)

// LockPublished is what became of pipe.lock in a run of CI.
type LockPublished struct {
	Changed bool   `json:"changed"`          // it is not as in the commit that was built
	Commit  string `json:"commit,omitempty"` // that has it now, on the remote
	Branch  string `json:"branch,omitempty"` // that got the commit
	URL     string `json:"url,omitempty"`    // of the pull request for it
	// Cause is why nothing was pushed: protected, forbidden, gone, ahead, no-remote, unreachable, moving, hook, unsigned, in-progress,
	// off, fork, no-branch, unreadable, edited, unpublished or volatile.
	Cause string `json:"cause,omitempty"`
	Why   string `json:"why,omitempty"` // the same for people
	Fix   string `json:"fix,omitempty"` // what to do about it
}

// Causes that are not git's.
const (
	lockOff         = "off"         // pipe.yaml or --lock-commit says so
	lockFork        = "fork"        // a pull request from another repository
	lockNoBranch    = "no-branch"   // a tag, or a commit that no branch is known of
	lockUnread      = "unreadable"  // the one on the branch cannot be merged with
	lockEdited      = "edited"      // the lock is that of a pipe.yaml that no commit has
	lockUnpublished = "unpublished" // the remote cannot be reached
	lockVolatile    = "volatile"    // the next run would have yet another one
)

// lockTitle begins the messages of the lock's commits.
const lockTitle = "Update "

// lockPrefix begins the names of branches that get only the lock: pipe-lock/main.
const lockPrefix = "pipe-lock/"

// commitLock publishes pipe.lock, if it is not as in the commit that was built. All that it names beyond that one, this
// run has published. A push that is refused is said, and is no failure: the records in the remote say the
// same as the lock, so that the next run builds nothing again.
func (c *ciRun) commitLock(ctx context.Context) error {
	lock, err := c.p.lock()
	if err != nil || c.known == nil && len(lock.Stages)+len(lock.Sources) == 0 {
		return err
	}
	was := cmp.Or(c.known, &lockfile.File{})
	data := lock.Encode()
	if bytes.Equal(was.Encode(), data) || bytes.Equal(data, c.settled) {
		return nil // a run that deploys comes here twice
	}
	c.r.Lock.Changed, c.settled = true, data
	mode, branch := c.lockGoesTo()
	if mode == spec.LockOff {
		return nil
	}
	edited, err := c.p.repo.Dirty(ctx, append(c.p.besides(), c.p.yamlAt()), c.p.lockAt)
	if err != nil {
		return err
	}
	if edited {
		what := spec.FileName
		if len(c.p.spec.Files) > 0 {
			what += " or a file that it names"
		}
		c.refused(lockEdited, what+" has changes that are not committed", "commit "+what+" first")
		return nil
	}
	if round, err := c.goesRound(ctx, lock, was); round || err != nil {
		return err
	}
	return c.pushLock(ctx, mode, branch, lock, was)
}

// knownLock returns the lock of the commit that is built; nil when it has none, or one that does not
// count.
func (c *ciRun) knownLock(ctx context.Context) (*lockfile.File, error) {
	data, err := c.p.repo.FileAt(ctx, c.p.built, c.p.lockAt)
	if errors.Is(err, gitlog.ErrNoFile) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	l, err := lockfile.Parse(lockfile.FileName, data)
	if diag.Is(err, diag.Policy) {
		return nil, err // a newer version wrote it
	}
	if err != nil {
		return nil, nil //nolint:nilerr // reading the workspace's says what is wrong
	}
	return l, nil
}

// lockGoesTo returns what becomes of pipe.lock, and the branch for which it is.
func (c *ciRun) lockGoesTo() (mode, branch string) {
	l := &c.r.Lock
	mode, branch = cmp.Or(c.opt.LockCommit, c.p.spec.LockCommit, spec.LockPush), c.branch
	if c.job.Event == ci.OfPullRequest {
		if c.opt.LockCommit == "" {
			mode = spec.LockOff
		}
		branch = c.job.Branch
	}
	switch {
	case mode == spec.LockOff:
		l.Cause = lockOff
		return mode, ""
	case c.job.Event == ci.OfPullRequest && c.job.Fork:
		c.refused(lockFork, "the pull request comes from another repository", "pipe ci commits it after the merge")
		return spec.LockOff, ""
	case c.shared && !c.publish:
		c.refused(lockUnpublished, "what it names is not in the remote", "give the job credentials for the remote")
		return spec.LockOff, ""
	case c.job.Event == ci.OfTag:
		c.refused(lockNoBranch, "tag "+c.job.Tag+" is built, not a branch", "run pipe ci on the branch, too")
		return spec.LockOff, ""
	case branch == "" && c.job.Event == ci.OfBranch:
		c.refused(lockNoBranch, "this run is of branch "+c.job.Branch+", but another commit is checked out", "check out a commit of the branch")
		return spec.LockOff, ""
	case branch == "":
		c.refused(lockNoBranch, "no branch is checked out, and the CI system names none", "run pipe ci on the branch, too")
		return spec.LockOff, ""
	}
	return mode, branch
}

// pushLock commits the lock and pushes the commit. What other runs have pushed meanwhile stays: their locks
// are merged with this one, stage by stage.
func (c *ciRun) pushLock(ctx context.Context, mode, branch string, lock, was *lockfile.File) error {
	p, l := c.p, &c.r.Lock
	pub := gitlog.Publication{
		Remote: upstream, Branch: branch, Path: p.lockAt, Message: c.message(lock, was), Note: func(text string) { p.note(c.masked(text)) },
		File: func(tip []byte) ([]byte, error) { return c.merged(branch, tip, lock, was) },
	}
	pub.Name, pub.Email = c.bot()
	if mode != spec.LockPush {
		pub.To = lockPrefix + branch
	}
	done, err := p.repo.Publish(ctx, pub)
	if e := (*diag.Error)(nil); errors.As(err, &e) && (e.Kind == diag.Policy || e.Kind == diag.Usage) {
		c.refused(lockUnread, e.Error(), e.Hint)
		return nil
	}
	if err != nil {
		return err
	}
	if r := done.Refused; r != nil {
		c.refused(string(r.Cause), r.Text, c.fix(r.Cause, branch))
		return nil
	}
	l.Commit, l.Branch = done.Commit, cmp.Or(pub.To, branch)
	if mode == spec.LockPR && (done.Commit != "" || done.There) {
		c.openPullRequest(ctx, pub.To, branch, lock, was)
	}
	if head, err := p.repo.Head(ctx); err == nil && done.Commit != "" && head.Hash == done.Commit { // its parent is the commit that was built
		p.sealed.Commit = done.Commit
		p.sealed.Committed, err = p.repo.Committed(ctx, done.Commit)
		return err
	}
	return nil
}

// merged joins the lock with that of the branch's tip; nil: it has none.
func (c *ciRun) merged(branch string, tip []byte, lock, was *lockfile.File) ([]byte, error) {
	// Whoever deletes it, or moves the project, means all of it: an entry or two would bring back a lock that
	// is not whole.
	if tip == nil && c.known != nil {
		return nil, diag.New(diag.Policy, "branch %s no longer has pipe.lock", branch).Hinted("if it was not deleted on purpose, restore it there")
	}
	theirs, err := lockfile.Parse(lockfile.FileName, tip)
	if err != nil {
		e := diag.All(err)[0].At(lockfile.FileName + " on branch " + branch)
		if e.Kind != diag.Policy {
			e = e.Hinted("restore it there, or delete it and run pipe repro")
		}
		return nil, e
	}
	merged, _ := lockfile.Merge(was, lock, theirs)
	return merged.Encode(), c.p.keepsSources(merged)
}

// openPullRequest asks to merge the branch that has the lock's commit. Without a pull request the commit is there all the
// same, so that a failure is only said.
func (c *ciRun) openPullRequest(ctx context.Context, head, base string, lock, was *lockfile.File) {
	title, body := c.p.lockPullText(changedStages(was, lock))
	url, err := c.p.lockPullRequest(ctx, head, base, title, body)
	if err != nil && ctx.Err() == nil {
		e := diag.All(err)[0]
		text := "no pull request was opened for " + head + ": " + e.What
		if e.Hint != "" {
			text += "; " + e.Hint
		}
		c.p.note(c.masked(text))
	}
	c.r.Lock.URL = url
}

// changedStages returns the stages whose blocks differ, sorted.
func changedStages(was, lock *lockfile.File) (names []string) {
	for _, change := range lockfile.Diff(was, lock) {
		if !slices.Contains(names, change.Stage) {
			names = append(names, change.Stage)
		}
	}
	return names
}

// message is that of the lock's commit.
func (c *ciRun) message(lock, was *lockfile.File) string {
	names := changedStages(was, lock)
	const most = 20
	if n := len(names); n > most {
		names = append(names[:most:most], fmt.Sprintf("%d more", n-most))
	}
	text := lockTitle + string(c.p.lockAt) + "\n"
	if len(names) > 0 {
		text += "\n" + strings.Join(names, ", ") + "\n"
	}
	if c.job.URL != "" {
		text += "\n" + c.job.URL + "\n"
	}
	return text
}

// bot is the author of the lock's commits where git has none.
func (c *ciRun) bot() (name, email string) {
	if c.job.System == ci.GitHub {
		return "github-actions[bot]", "41898282+github-actions[bot]@users.noreply.github.com"
	}
	return "pipe ci", "pipe-ci@localhost"
}

// refused says that pipe.lock is not in git, why, and what to do.
func (c *ciRun) refused(cause, why, fix string) {
	l := &c.r.Lock
	why = c.masked(why)
	l.Cause, l.Why, l.Fix = cause, why, fix
	text := "pipe.lock was not committed: " + why
	if fix != "" {
		text += "; " + fix
	}
	c.p.note(text)
}

// masked returns what git, a hook or a server has said without the values of the stages' secrets, and without the
// tokens of the job: it goes into the report, which the CI system does not mask.
func (c *ciRun) masked(text string) string {
	var secrets []action.EnvValue
	hide := func(name string) {
		secrets = append(secrets, action.EnvValue{Name: name, Value: c.p.variable(name), Secret: true})
	}
	stages := c.p.withEnv().full.Stages
	for i := range stages {
		s := &stages[i]
		secrets = slices.Concat(secrets, action.Declared(s, nil, c.p.getenv), action.Passed(s, c.p.env))
	}
	for _, name := range []string{"GH_TOKEN", "GITHUB_TOKEN", "CI_JOB_TOKEN"} {
		hide(name)
	}
	return runlog.Masked(text, secrets)
}

// fix says what to do about a push that was refused.
func (c *ciRun) fix(cause gitlog.Cause, branch string) string {
	const elsewhere = "write lock: {commit: pr} in pipe.yaml for a pull request, branch for a branch of its own, or off"
	switch cause {
	case gitlog.Protected:
		return "allow this job to push to " + branch + ", or " + elsewhere
	case gitlog.Forbidden:
		if c.job.System == ci.GitHub {
			return "give the job permissions: {contents: write} and let actions/checkout persist its credentials, or " + elsewhere
		}
		return "give the job credentials that may push to " + branch + ", or " + elsewhere
	case gitlog.Ahead:
		return "push it first (git push): pipe pushes no commit but its own"
	case gitlog.Gone:
		return "if it was not deleted on purpose, push the branch"
	case gitlog.NoRemote:
		return "git remote add " + upstream + " URL"
	case gitlog.Unsigned:
		return "give the job the signing key, or run git config commit.gpgSign false in it"
	case gitlog.InProgress:
		return "finish it, then run pipe ci again"
	case gitlog.Hook:
		return "have the hook allow it, or " + elsewhere
	case gitlog.Moving, gitlog.Unreachable:
		return "the next run tries again; nothing is built twice"
	}
	return ""
}
