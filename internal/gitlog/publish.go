package gitlog

import (
	"context"

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

// Publish commits one file, alone, on the tip of a branch, and pushes the commit.
func (r *Repo) Publish(ctx context.Context, p Publication) (*Published, error) {
	panic("not yet")
}

// DefaultBranch returns the branch that HEAD of a remote names: as this clone remembers it, else as the
// remote says; "" where neither does.
func (r *Repo) DefaultBranch(ctx context.Context, remote string) (string, error) {
	panic("not yet")
}
