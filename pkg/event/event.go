// Package event is what a run tells while it goes on.
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
	Done    Type = "done"    // the stage is as it should be
	Failed  Type = "failed"
	Note    Type = "note"    // something to know: what is waited for, saved, adopted
	Moved   Type = "moved"   // an object was copied between stores
	Summary Type = "summary" // the last one
)

// Event is one thing that happened. Which fields are set depends on the type.
type Event struct {
	Schema  string            `json:"schema"`
	Type    Type              `json:"type"`
	Stage   string            `json:"stage,omitempty"`
	Deploy  bool              `json:"deploy,omitempty"`
	Verb    Verb              `json:"verb,omitempty"`
	Because []Reason          `json:"because,omitempty"`
	Text    string            `json:"text,omitempty"`
	Key     string            `json:"key,omitempty"`
	Outs    []artifact.Output `json:"outs,omitempty"`
	Seconds float64           `json:"seconds,omitempty"`
	Exit    int               `json:"exit,omitempty"`
	Where   string            `json:"where,omitempty"` // push or pull
	Bytes   int64             `json:"bytes,omitempty"`
	Counts  *Counts           `json:"counts,omitempty"`
}

// Counts say how a run ended.
type Counts struct {
	Skipped  int `json:"skipped"`
	Restored int `json:"restored"`
	Ran      int `json:"ran"`
	Failed   int `json:"failed"`
	Not      int `json:"not_run"` // depends on one that failed, or was interrupted
}
