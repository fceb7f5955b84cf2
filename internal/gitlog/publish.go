package gitlog

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/par"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Publication is a commit of one file that is to be on a branch of a remote.
type Publication struct {
	Remote string // name of the git remote
	Branch string // of the remote, without refs/heads/: what the commit is built on
	// To is another branch that gets the commit in place of Branch, and is made when it is not there; "": Branch.
	To      string
	Path    repopath.Path
	Message string
	// Name and Email are used where git has no author; empty: such a commit is refused.
	Name, Email string
	// File returns the file as it is to be, given what the tip of Branch has; nil: it has none. It is
	// called again for each new tip. Where it returns the same bytes, nothing is published.
	File func(tip []byte) ([]byte, error)
	Note func(text string) // tells that it waits or tries again
}

// Published is what became of a Publication.
type Published struct {
	Commit  string   // on the branch now, with the file; empty when nothing was pushed
	There   bool     // nothing was pushed because To has this file already, and Branch has not
	Refused *Refusal // why it was not pushed; nil: it was, or there was nothing to push
}

// Refusal is a push that did not happen, for a reason that trying again does not change.
type Refusal struct {
	Cause Cause
	Text  string // what git, the server or a hook said, without secrets; for people
}

// Cause is the sort of a Refusal.
type Cause string

// The causes of a Refusal.
const (
	Protected   Cause = "protected"   // a rule of the server protects the branch
	Forbidden   Cause = "forbidden"   // the credentials may not write, or there are none
	Gone        Cause = "gone"        // the remote does not have the branch any more
	Ahead       Cause = "ahead"       // HEAD has commits that the branch does not have: they would be pushed, too
	NoRemote    Cause = "no-remote"   // git has no such remote
	Unreachable Cause = "unreachable" // it does not answer
	Moving      Cause = "moving"      // other pushes came first, each time
	Hook        Cause = "hook"        // a hook of this clone, or one of the server, says no
	Unsigned    Cause = "unsigned"    // the commit is to be signed, and cannot be
	NoIdentity  Cause = "no-identity" // git has no author name or email
	InProgress  Cause = "in-progress" // a merge or rebase is not finished
)

// Publish commits one file, alone, on the tip of a branch, and pushes the commit. It asks nobody for
// a password, and never forces: a push that comes late is built again on the new tip. Other commits
// are not pushed, so HEAD has to be the tip or an ancestor of it. The user's hooks run, and the
// commit is signed as git commit would.
//
// Nothing changes here until the remote has the commit. Where it is then on Branch, and HEAD was its
// parent, the local branch moves to it, and in the index the file's own entry. The work tree, what
// else is staged, and other branches stay as they are.
//
// A push that is refused is no error.
func (r *Repo) Publish(ctx context.Context, p Publication) (*Published, error) {
	if r.Setting(ctx, "remote."+p.Remote+".url") == "" {
		return &Published{Refused: &Refusal{NoRemote, "git has no remote named " + p.Remote}}, nil
	}
	u := &publishing{Publication: p, user: r, r: r.quiet()}
	done, err := u.run(ctx)
	if ctx.Err() != nil {
		return nil, fmt.Errorf("publish %s: %w", p.Path, context.Cause(ctx))
	}
	if no := (*refused)(nil); errors.As(err, &no) {
		return &Published{Refused: &no.Refusal}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("publish %s: %w", p.Path, err)
	}
	return done, nil
}

// quiet returns the repository for calls of git whose words are read, and that ask nobody.
func (r *Repo) quiet() *Repo {
	q := *r
	q.env = append(slices.Clone(r.env), "LC_ALL=C", "GIT_TERMINAL_PROMPT=0")
	return &q
}

// publishing is one call of Publish.
type publishing struct {
	Publication
	user *Repo // with the environment that hooks get
	r    *Repo // for all else

	contains string // the last tip that HEAD was found in the history of
	last     string // what the target was in the last round
	failed   int    // rounds that failed since the target has moved
	sent     string // the commit of the last push: its answer may have been lost
}

const (
	// maxRounds bounds how often others may come first. Of those that push at once one gets through
	// in each round, so this is enough for 30 runners.
	maxRounds = 30
	// maxFailed bounds how often in a row nothing has moved: then nobody came first.
	maxFailed = 3
)

// run tries until the file is on the branch. What a lost round leaves are objects that nothing
// names, so that a retry is safe.
func (u *publishing) run(ctx context.Context) (*Published, error) {
	for n := range maxRounds {
		done, err := u.round(ctx)
		no := (*refused)(nil)
		if !errors.As(err, &no) || !no.again {
			return done, err
		}
		if u.failed++; u.failed == maxFailed {
			return nil, err
		}
		u.note(no.Text + "; trying again")
		wait := u.r.wait / 50 // about as long as a push takes
		if no.Cause == Unreachable {
			wait = u.r.wait / 5
		}
		// Jitter spreads those who were late at the same time.
		wait = min(u.r.wait, wait<<min(n, 10))
		if err := par.Sleep(ctx, wait/2+rand.N(wait+1)); err != nil {
			return nil, err
		}
	}
	return nil, refuse(Moving, fmt.Sprintf("other pushes came first, %d times", maxRounds))
}

func (u *publishing) note(text string) {
	if u.Note != nil {
		u.Note(text)
	}
}

// target is the branch that gets the commit.
func (u *publishing) target() string {
	if u.To != "" {
		return u.To
	}
	return u.Branch
}

// round builds a commit on the tip that the remote has now, and pushes it.
func (u *publishing) round(ctx context.Context) (*Published, error) {
	tips, err := u.ask(ctx)
	if err != nil {
		return nil, err
	}
	if to := tips[u.target()]; to != u.last {
		u.last, u.failed = to, 0
	}
	tip, there := tips[u.Branch]
	if !there {
		return nil, refuse(Gone, fmt.Sprintf("%s has no branch %s", u.Remote, u.Branch))
	}
	if err := u.bring(ctx, tips); err != nil {
		return nil, err
	}
	if u.landed(ctx, tips[u.target()]) {
		return u.done(ctx), nil
	}
	c, err := u.change(ctx, tip)
	if err != nil {
		return nil, err
	}
	if c == nil {
		u.tell("the index was not updated", u.mendIndex(ctx, tip))
		return &Published{}, nil
	}
	parents, err := u.parents(ctx, tips, c)
	if parents == nil || err != nil {
		return &Published{There: true}, err
	}
	commit, err := u.commit(ctx, c, parents)
	if err != nil {
		return nil, err
	}
	u.sent = commit
	if err := u.push(ctx, commit, tips[u.target()]); err != nil {
		return nil, err
	}
	return u.done(ctx), nil
}

// landed reports whether the commit of the last push is on the branch after all: its answer may
// have been lost.
func (u *publishing) landed(ctx context.Context, tip string) bool {
	if u.sent == "" || tip == "" {
		return false
	}
	yes, _, err := u.r.isAncestor(ctx, u.sent, tip)
	return err == nil && yes
}

// done is what is to be done when the remote has the commit.
func (u *publishing) done(ctx context.Context) *Published {
	u.tell("the commit was pushed, but the local branch was not updated", u.moveHead(ctx, u.sent))
	return &Published{Commit: u.sent}
}

// tell says what could not be done here. The remote is as it should be, so that Publish has not failed.
func (u *publishing) tell(what string, err error) {
	if err != nil {
		u.note(fmt.Sprintf("%s: %v", what, err))
	}
}

// moveHead moves HEAD to the commit that was pushed, if HEAD is its parent and stands for the branch.
func (u *publishing) moveHead(ctx context.Context, commit string) error {
	head, err := u.r.Head(ctx)
	if err != nil || head.Unborn || u.target() != u.Branch || u.r.atRest() != nil {
		return err
	}
	parent, err := u.r.git(ctx, nil, "rev-parse", "--verify", "--quiet", commit+"^")
	if err != nil || strings.TrimSpace(string(parent)) != head.Hash || !u.standsFor(ctx, head.Branch) {
		return err
	}
	file, err := u.r.entryAt(ctx, commit, u.Path)
	if err != nil {
		return err
	}
	return u.r.adopt(ctx, head.Hash, commit, u.Path, file, u.Message)
}

// mendIndex gives the index the file's entry of HEAD where it still has that of HEAD's parent: a run
// that was killed behind the move of HEAD has left it. What else the user has staged there stays.
func (u *publishing) mendIndex(ctx context.Context, tip string) error {
	head, err := u.r.Head(ctx)
	if err != nil || head.Hash != tip || u.target() != u.Branch || u.r.atRest() != nil {
		return err
	}
	want, err := u.r.entryAt(ctx, tip, u.Path)
	if err != nil {
		return err
	}
	has, err := u.r.entryInIndex(ctx, u.Path)
	if err != nil || has == want {
		return err
	}
	// Where the parent is not here, nothing was committed on top of it here.
	out, err := u.r.local(ctx, "ls-tree", "-z", "--full-tree", tip+"^", "--", string(u.Path))
	if err != nil || parseEntry(out) != has {
		return nil //nolint:nilerr // see above
	}
	return u.r.syncIndex(ctx, u.Path)
}

// standsFor reports whether a local branch, "" for a detached HEAD, is that of the remote: by its
// name, or because it tracks it.
func (u *publishing) standsFor(ctx context.Context, local string) bool {
	return local == "" || local == u.Branch ||
		u.r.Setting(ctx, "branch."+local+".remote") == u.Remote && u.r.Setting(ctx, "branch."+local+".merge") == "refs/heads/"+u.Branch
}

// DefaultBranch returns the branch that HEAD of a remote names: as this clone remembers it, else as the
// remote says; "" where neither does.
func (r *Repo) DefaultBranch(ctx context.Context, remote string) (string, error) {
	out, err := r.git(ctx, nil, "symbolic-ref", "--quiet", "refs/remotes/"+remote+"/HEAD")
	if name, ok := strings.CutPrefix(strings.TrimSpace(string(out)), "refs/remotes/"+remote+"/"); err == nil && ok {
		return name, nil
	}
	if ctx.Err() != nil || r.Setting(ctx, "remote."+remote+".url") == "" {
		return "", context.Cause(ctx)
	}
	answer, err := r.quiet().talk(ctx, "ls-remote", "--symref", "--", remote, "HEAD")
	if err != nil || answer.exit != 0 {
		return "", context.Cause(ctx)
	}
	for line := range strings.Lines(answer.stdout) {
		if name, ok := strings.CutPrefix(strings.TrimSuffix(line, "\tHEAD\n"), "ref: refs/heads/"); ok {
			return name, nil
		}
	}
	return "", nil
}
