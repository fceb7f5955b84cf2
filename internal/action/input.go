package action

import (
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/lockfile"
)

// InputFacts are all that the verdict on an input of the project depends on.
type InputFacts struct {
	Stage  *spec.Stage
	Locked *lockfile.Stage  // nil: it was never added, or a merge lost the block
	Here   *artifact.Output // what lies at its path; nil: nothing does
	Known  bool             // a record says that these bytes were added before
	Take   bool             // pipe add: what lies there counts, known or not
}

// InputKey returns the key of an input with this content. There the content is the question, so
// the record of a key says that these bytes once were this input.
func InputKey(s *spec.Stage, o artifact.Output) digest.Key {
	in := artifact.Input{Path: o.Path, Exec: o.Exec, Digest: o.Digest}
	if o.Dir {
		in.Kind = artifact.Dir
	}
	return KeyOf(s, Inputs{Deps: []artifact.Input{in}})
}

// DecideInput returns what becomes of an input. Either the lock or something at its path is there.
//
// People edit an input, so other bytes than the lock names are new ones, and are taken. But bytes
// that were added before are an older version: the workspace is behind the lock, after a git pull
// or checkout, and gets what the lock names, as it does for outputs. Else the next run would turn
// a colleague's new data back into the old ones.
func DecideInput(f InputFacts) Verdict {
	path := string(f.Stage.Outs[0].Path)
	switch {
	case f.Locked == nil:
		return Verdict{event.Add, []Reason{{Code: event.NotAdded, Path: path}}}
	case f.Here == nil:
		return Verdict{event.Skip, []Reason{{Code: event.InputAbsent}}}
	case f.Here.Same(f.Locked.Outs[0]):
		return Verdict{event.Skip, []Reason{{Code: event.Unchanged}}}
	case f.Known && !f.Take:
		return Verdict{event.Restore, []Reason{{Code: event.OutEdited, Path: path, Note: "pipe add keeps this one"}}}
	}
	old, now := f.Locked.Outs[0], *f.Here
	why := Reason{Code: event.DepChanged, Path: path, Old: old.Digest.String(), New: now.Digest.String()}
	if old.Digest == now.Digest {
		why = Reason{Code: event.DepChanged, Path: path, Note: "its executable bit"}
	}
	return Verdict{event.Add, []Reason{why}}
}
