package view

import "fmt"

// Published is what became of pipe.lock in a run of CI, as package pipe has it.
type Published struct {
	Changed        bool   // it is not as in the commit that was built
	Commit, Branch string // that has it on the remote, and where
	URL            string // of the pull request for it
	Why, Fix       string // why it was not pushed, and what to do about it
}

// Refused reports whether the lock was to be pushed, and was not.
func (l Published) Refused() bool { return l.Changed && l.Commit == "" && l.Why != "" }

// String says what became of it, without the fix.
func (l Published) String() string {
	switch {
	case l.Commit != "" && l.URL != "":
		return fmt.Sprintf("pushed pipe.lock to %s (%.12s), with a pull request: %s", l.Branch, l.Commit, l.URL)
	case l.Commit != "":
		return fmt.Sprintf("pushed pipe.lock to %s: %.12s", l.Branch, l.Commit)
	case l.URL != "":
		return fmt.Sprintf("pipe.lock is on %s already, with a pull request: %s", l.Branch, l.URL)
	case !l.Changed:
		return "pipe.lock is unchanged"
	case l.Why != "":
		return "pipe.lock was not committed: " + l.Why
	case l.Branch != "":
		return "pipe.lock is on " + l.Branch + " already"
	}
	return "pipe.lock changed and was not committed"
}
