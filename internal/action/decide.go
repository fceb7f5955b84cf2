package action

import (
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Verb, Reason: see package event, which names them for everybody.
type (
	Verb   = event.Verb
	Reason = event.Reason
)

// Verdict is a verb and all its reasons.
type Verdict struct {
	Do      Verb     `json:"verb"`
	Because []Reason `json:"because"`
}

// OutState compares one out in the workspace with the lock.
type OutState struct {
	Path    repopath.Path
	Here    bool // something lies at the path
	Same    bool // it is what the lock or record names
	NoCache bool // cache: false: it cannot be restored
}

// Facts are all that the verdict on a build stage depends on. The zero value of a field says
// that the thing is not there: no block in the lock, no record, nothing lost.
type Facts struct {
	Stage  *spec.Stage
	Key    digest.Key
	Inputs Inputs
	Locked *lockfile.Stage // nil: never ran, or not known here
	Before *lockfile.Stage // what the lock says, for the reasons alone: it may be of other outputs than the stage has now
	Was    *Was            // what is known of the definition behind Before; nil: nothing
	// Unfit are the outputs of a lock or record that has this very key and cannot be taken, as
	// pipe.yaml now asks for something else about them.
	Unfit    []artifact.Output
	Outs     []OutState // against Locked when its key is Key, else against the record
	Recorded bool       // a record of Key is in the cache or remote
	Force    bool
	Lost     []repopath.Path // outs whose bytes are nowhere, found out in this run
}

// Decide returns what a build stage must do. It changes nothing.
//
// The order of the cases is the rule. frozen beats even --force. What must run in any case
// comes next. Then a stage whose key neither the lock nor a record knows runs. After that its
// outputs are known, and only one that cannot be restored, because its bytes are not kept,
// makes it run. An output that is absent is no reason for anything: it is fetched when
// somebody reads it.
func Decide(f Facts) Verdict {
	switch {
	case f.Stage.Frozen:
		return Verdict{event.Frozen, []Reason{{Code: event.IsFrozen}}}
	case f.Force:
		return Verdict{event.Run, []Reason{{Code: event.ForcedRun}}}
	case f.Stage.AlwaysChanged:
		return Verdict{event.Run, []Reason{{Code: event.AlwaysChanged}}}
	case len(f.Lost) > 0:
		return Verdict{event.Run, named(event.Lost, f.Lost)}
	}
	current := f.Locked != nil && f.Locked.Key == f.Key
	if !current && !f.Recorded {
		return Verdict{event.Run, f.changes()}
	}
	if gone := unrestorable(f.Outs); len(gone) > 0 {
		return Verdict{event.Run, gone}
	}
	if !current {
		why := []Reason{{Code: event.Recorded}}
		if f.Stage.Check {
			why[0].Code = event.Passed
		}
		if f.Before != nil { // a stage that the lock does not have has run under another name, or elsewhere
			why = append(why, f.changes()...)
		}
		return Verdict{event.Restore, why}
	}
	var edited []Reason
	absent := false
	for _, o := range f.Outs {
		if o.Here && !o.Same {
			edited = append(edited, Reason{Code: event.OutEdited, Path: string(o.Path)})
		}
		absent = absent || !o.Here
	}
	switch {
	case len(edited) > 0:
		return Verdict{event.Restore, edited}
	case absent:
		return Verdict{event.Skip, []Reason{{Code: event.OutsAbsent}}}
	}
	return Verdict{event.Skip, []Reason{{Code: event.Unchanged}}}
}

// unrestorable returns the outs without cached bytes that are not as recorded. They lie in
// git, say, and only the command can make them anew.
func unrestorable(outs []OutState) (why []Reason) {
	for _, o := range outs {
		switch {
		case !o.NoCache || o.Same:
		case o.Here:
			why = append(why, Reason{Code: event.OutEdited, Path: string(o.Path), Note: "cache: false"})
		default:
			why = append(why, Reason{Code: event.OutMissing, Path: string(o.Path), Note: "cache: false"})
		}
	}
	return why
}

// named returns one reason with the same code for each path.
func named(code string, paths []repopath.Path) (why []Reason) {
	for _, p := range paths {
		why = append(why, Reason{Code: code, Path: string(p)})
	}
	return why
}

// Live is what an environment says of a deploy stage.
type Live struct {
	Env    string
	Status string // ok, failed, deploying, unknown; empty: never deployed
	Key    digest.Key
	Deps   []artifact.Input // what was deployed
	artifact.Asked
	Commit string            // HEAD then; empty: not known
	Values map[string]string // of its variables, those that pipe.yaml or an option gave
}

// The states of a deploy stage in an environment.
const (
	StatusOK        = "ok"
	StatusFailed    = "failed"
	StatusDeploying = "deploying"
	StatusUnknown   = "unknown"
)

// DecideDeploy returns what a deploy stage must do: it is done only if its environment says so
// now, whatever lock and cache hold. Everything but "ok" with this very key runs: after
// "deploying" or a status of a later version nobody knows what is live, and to deploy once
// more is safe where to skip is not. was is the definition that is live; nil: not known.
func DecideDeploy(s *spec.Stage, key digest.Key, in Inputs, live Live, was *Was, force bool) Verdict {
	switch {
	case s.Frozen:
		return Verdict{event.Frozen, []Reason{{Code: event.IsFrozen}}}
	case force:
		return Verdict{event.Run, []Reason{{Code: event.ForcedRun}}}
	case s.AlwaysChanged:
		return Verdict{event.Run, []Reason{{Code: event.AlwaysChanged}}}
	}
	switch live.Status {
	case "":
		return Verdict{event.Run, []Reason{{Code: event.NotDeployed, Path: live.Env}}}
	case StatusFailed:
		return Verdict{event.Run, []Reason{{Code: event.LastFailed, Path: live.Env}}}
	case StatusOK:
		if live.Key == key {
			return Verdict{event.Skip, []Reason{{Code: event.LiveSame, Path: live.Env}}}
		}
		why := []Reason{{Code: event.LiveOther, Path: live.Env, Old: live.Key.String(), New: key.String()}}
		return Verdict{event.Run, append(why, liveChanges(s, in, live, was)...)}
	}
	return Verdict{event.Run, []Reason{{Code: event.LastUnknown, Path: live.Env}}}
}
