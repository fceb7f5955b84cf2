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
	Omit    Verb = "omit"    // left out of this run: its block in pipe.lock and its outputs stay as they are
	Blocked Verb = "blocked" // a stage that it needs failed
	Wait    Verb = "depends" // only in plans: decided when an earlier stage has run
	// What pipe env does with a deploy stage, never a verdict.
	Undeploy Verb = "undeploy" // it is taken down
	Drift    Verb = "drift"    // what runs is compared with what was deployed; Exit tells the result
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
	ToolChanged   = "tool-changed"
	ImageChanged  = "image-changed"
	URLChanged    = "url-changed"
	CallChanged   = "command-shell-or-wdir-changed" // which of them is not known
	ParamChanged  = "param-changed"
	ParamAdded    = "param-added"
	ParamRemoved  = "param-removed"
	EnvChanged    = "env-changed"
	EnvAdded      = "env-added"
	EnvRemoved    = "env-removed"
	OutsChanged   = "outs-changed"
	DefChanged    = "definition-changed"                   // Path is the field of pipe.yaml; empty: not known
	RestChanged   = "definition-param-or-variable-changed" // which of them is not known
	ForcedRun     = "forced"
	AlwaysChanged = "always-changed"
	IsFrozen      = "frozen"
	Lost          = "object-missing"
	LiveOther     = "live-is-other"
	LiveSame      = "live"
	NotDeployed   = "not-deployed"
	LastFailed    = "last-failed"
	LastUnknown   = "last-unknown"
	Superseded    = "superseded"
	Held          = "held"
	ByDeploy      = "by-pipe-deploy" // left to pipe deploy
	WhenFalse     = "when-false"     // Path is the condition
	ByOption      = "by-option"      // Path is --only or --skip
	NeedOmitted   = "need-omitted"   // it reads outputs that nobody has made
	NeedsRun      = "needs-run"
	NeedsAsking   = "needs-asking" // an image or a URL of which nothing is known yet
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
	ToolChanged:   "the output of %s changed",
	ImageChanged:  "image %s changed",
	URLChanged:    "%s changed",
	CallChanged:   "the command, its shell or its working directory changed",
	ParamChanged:  "param %s changed",
	ParamAdded:    "param %s is new",
	ParamRemoved:  "param %s is no longer declared",
	EnvChanged:    "variable %s changed",
	EnvAdded:      "variable %s is new",
	EnvRemoved:    "variable %s is no longer declared",
	OutsChanged:   "the definition changed",
	DefChanged:    "the definition changed",
	RestChanged:   "its definition, a param or a variable changed",
	ForcedRun:     "forced",
	AlwaysChanged: "always_changed",
	IsFrozen:      "frozen",
	Lost:          "the stored copy of %s is missing",
	LiveOther:     "another version is live in %s",
	LiveSame:      "live in %s",
	NotDeployed:   "not deployed to %s yet",
	LastFailed:    "the last deployment to %s failed",
	LastUnknown:   "a deployment to %s has not finished",
	Superseded:    "not deployed to %s",
	Held:          "not deployed to %s",
	ByDeploy:      "pipe deploy ENV deploys it",
	WhenFalse:     "when is false: %s",
	ByOption:      "left out by %s",
	NeedOmitted:   "needs %s, which is left out and has no outputs in pipe.lock",
	NeedsRun:      "%s must run first",
	NeedsAsking:   "%s is not known yet",
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
	if field, change := r.detail(); field != "" {
		t += ": " + field + change
	}
	if r.Note != "" {
		t += " (" + r.Note + ")"
	}
	return t
}

// detail says which field of the definition changed, and how: "outs" and ", +dist/b", "shell" and
// " sh -> bash". Both are empty for other reasons, and where that is not known.
func (r Reason) detail() (field, change string) {
	switch {
	case r.Code == OutsChanged:
		field = "outs"
	case r.Code == DefChanged:
		field = r.Path
	}
	switch {
	case field == "":
		return "", ""
	case r.Old == "":
		return field, ", +" + r.New
	case r.New == "":
		return field, ", -" + r.Old
	}
	return field, " " + r.Old + " -> " + r.New
}

// Words returns reasons in words, at most so many. What changed of the definition is one of
// them: "the definition changed: outs, +dist/b, -dist/c; shell sh -> bash".
func Words(because []Reason, most int) string {
	var words []string
	definition, last := -1, ""
	for _, r := range because {
		field, change := r.detail()
		switch {
		case field == "" || definition < 0:
			words = append(words, r.String())
			if field != "" {
				definition = len(words) - 1
			}
		case field == last:
			words[definition] += change
		default:
			words[definition] += "; " + field + change
		}
		if field != "" {
			last = field
		}
	}
	if len(words) > most+1 {
		words = append(words[:most:most], fmt.Sprintf("and %d more", len(words)-most))
	}
	return strings.Join(words, ", ")
}
