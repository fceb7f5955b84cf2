// Package event is what a run tells while it goes on.
//
// Events are for whoever watches: the lines of a terminal and the JSON lines of --json are
// both made of them, and a program that embeds package pipe gets them as values. They are no
// result; what a verb did stands in its answer. Events of one stage come in their order, those
// of stages that run at once are mixed.
//
// The JSON form is Schema. It only grows: a reader must ignore members and types that it does
// not know.
package event

import "github.com/pipe-build/pipe/pkg/artifact"

// Schema names the form of an Event in JSON.
const Schema = "pipe.event/1"

// Type is the sort of an Event.
type Type string

// The types of events, in the order in which a stage sends them.
const (
	Decided Type = "decided" // a verdict and its reasons
	Started Type = "started" // the command was started
	Output  Type = "output"  // one line of it
	Retried Type = "retried" // it failed, and is run again
	// Replayed is one line of what a command printed that need not run now, when it ran.
	Replayed Type = "replayed"
	Done     Type = "done" // the stage is as it should be
	Failed   Type = "failed"
	Planned  Type = "planned" // a verdict that nothing follows: only the next run of another commit would do it
	Note     Type = "note"    // something to know: what is waited for, saved, adopted
	Moved    Type = "moved"   // an object was copied between stores
	Summary  Type = "summary" // the last one
)

// Event is one thing that happened. Which fields are set depends on the type.
type Event struct {
	Schema  string            `json:"schema"`            // the name of this form
	Type    Type              `json:"type"`              // what happened
	Project string            `json:"project,omitempty"` // of several: its directory
	Env     string            `json:"env,omitempty"`     // of several: the environment that is deployed to
	Stage   string            `json:"stage,omitempty"`   // which stage it is about; empty: the whole run
	Deploy  bool              `json:"deploy,omitempty"`  // it is a deploy stage
	Check   bool              `json:"check,omitempty"`   // it is a check
	Verb    Verb              `json:"verb,omitempty"`    // what the stage must do, or has done
	Because []Reason          `json:"because,omitempty"` // all reasons of the verdict
	Text    string            `json:"text,omitempty"`    // a line of output, a note, or an error
	Key     string            `json:"key,omitempty"`     // the key of the stage
	Outs    []artifact.Output `json:"outs,omitempty"`    // the outputs of the stage
	Seconds float64           `json:"seconds,omitempty"` // how long the command took
	How     string            `json:"how,omitempty"`     // how the command failed, in a few words
	Exit    int               `json:"exit,omitempty"`    // the command's exit code; -1: a signal ended it
	Attempt int               `json:"attempt,omitempty"` // which attempt of the command it is; absent: the first
	Retries int               `json:"retries,omitempty"` // of a Retried: how many further attempts there may be in all
	Where   string            `json:"where,omitempty"`   // push or pull
	Bytes   int64             `json:"bytes,omitempty"`   // copied
	Counts  *Counts           `json:"counts,omitempty"`  // of a Summary
}

// Counts say how a run ended.
type Counts struct {
	Skipped  int `json:"skipped"`           // up to date
	Restored int `json:"restored"`          // taken from a record
	Ran      int `json:"ran"`               // the command ran, or in a plan would
	Added    int `json:"added,omitempty"`   // inputs of the project whose content was taken
	Omitted  int `json:"omitted,omitempty"` // left out: its condition is false, or the user asked for that
	Failed   int `json:"failed"`            // the command failed, or could not run
	Not      int `json:"not_run"`           // depends on one that failed, or was interrupted
	// How long the run took.
	Seconds float64 `json:"seconds,omitempty"`
	// How long the builds and checks that were skipped or restored took when they ran.
	Saved float64 `json:"saved_seconds,omitempty"`
	// Of how many of them this is not known on this machine.
	Unsaved int `json:"saved_unknown,omitempty"`
}

// Plus returns the sum.
func (c Counts) Plus(d Counts) Counts {
	return Counts{
		c.Skipped + d.Skipped, c.Restored + d.Restored, c.Ran + d.Ran, c.Added + d.Added, c.Omitted + d.Omitted, c.Failed + d.Failed, c.Not + d.Not,
		c.Seconds + d.Seconds, c.Saved + d.Saved, c.Unsaved + d.Unsaved,
	}
}
