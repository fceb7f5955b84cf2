package event

import (
	"fmt"
	"strings"
)

// Verb is what a stage must do.
type Verb string

// The verbs, DESIGN's table of decisions.
const (
	Skip    Verb = "skip"    // nothing changed
	Restore Verb = "restore" // the recorded outputs are taken
	Run     Verb = "run"     // the command runs
	Add     Verb = "add"     // of an input: what lies in the workspace is taken
	Frozen  Verb = "frozen"  // never runs
	Blocked Verb = "blocked" // a stage that it needs failed
	Wait    Verb = "depends" // only in plans: decided when an earlier stage has run
)

// Reason is one cause of a verdict, as data. Old and New are values or hashes. Programs match
// Code; the words may change. Old and New never hold a secret or a value from the environment:
// of those there is only a hash, or whether they are set.
type Reason struct {
	Code string `json:"code"`           // one of the constants below
	Path string `json:"path,omitempty"` // what it is about: a path, a variable, a stage
	Old  string `json:"old,omitempty"`  // what it was; empty: nothing
	New  string `json:"new,omitempty"`  // what it is; empty: nothing
	Note string `json:"note,omitempty"` // more about it, in words
}

// The codes of reasons.
const (
	Unchanged     = "unchanged"
	OutsAbsent    = "outs-not-here"
	InputAbsent   = "input-not-here"
	OutEdited     = "out-differs"
	OutMissing    = "out-missing"
	Recorded      = "recorded"
	Passed        = "passed"
	NeverRun      = "never-run"
	NotAdded      = "not-added"
	CmdChanged    = "command-changed"
	DepChanged    = "dep-changed"
	DepAdded      = "dep-added"
	DepRemoved    = "dep-removed"
	ParamChanged  = "param-changed"
	EnvChanged    = "env-changed"
	OutsChanged   = "outs-changed"
	DefChanged    = "definition-changed"
	ForcedRun     = "forced"
	AlwaysChanged = "always-changed"
	IsFrozen      = "frozen"
	Lost          = "object-missing"
	LiveOther     = "live-is-other"
	LiveSame      = "live"
	NotDeployed   = "not-deployed"
	LastFailed    = "last-failed"
	LastUnknown   = "last-unknown"
	NeedsRun      = "needs-run"
	NeedFailed    = "need-failed"
)

// texts has a phrase per code; %s is Path.
var texts = map[string]string{
	Unchanged:     "nothing changed",
	OutsAbsent:    "nothing changed; outputs are not in the workspace (pipe pull fetches them)",
	InputAbsent:   "nothing changed; it is not in the workspace (pipe pull fetches it)",
	OutEdited:     "pipe.lock names another version of %s",
	OutMissing:    "%s is missing",
	Recorded:      "the same inputs were built before",
	Passed:        "passed before with the same inputs",
	NeverRun:      "never ran",
	NotAdded:      "%s is not in pipe.lock yet",
	CmdChanged:    "the command changed",
	DepChanged:    "%s changed",
	DepAdded:      "%s is a new dependency",
	DepRemoved:    "%s is no longer a dependency",
	ParamChanged:  "param %s changed",
	EnvChanged:    "variable %s changed",
	OutsChanged:   "output %s was added or removed",
	DefChanged:    "the definition changed",
	ForcedRun:     "forced",
	AlwaysChanged: "always_changed",
	IsFrozen:      "frozen",
	Lost:          "the stored copy of %s is missing",
	LiveOther:     "another version is live in %s",
	LiveSame:      "live in %s",
	NotDeployed:   "not deployed to %s yet",
	LastFailed:    "the last deployment to %s failed",
	LastUnknown:   "the last deployment to %s did not finish",
	NeedsRun:      "%s must run first",
	NeedFailed:    "needs %s, which failed",
}

// String returns the reason in words.
func (r Reason) String() string {
	t := texts[r.Code]
	if t == "" {
		t = r.Code
	}
	if strings.Contains(t, "%s") {
		t = fmt.Sprintf(t, r.Path)
	}
	if r.Note != "" {
		t += " (" + r.Note + ")"
	}
	return t
}
