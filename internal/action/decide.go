package action

import (
	"sort"
	"strconv"
	"strings"

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
	Stage    *spec.Stage
	Key      digest.Key
	Inputs   Inputs
	Locked   *lockfile.Stage // nil: never ran, or not known here
	Outs     []OutState      // against Locked when its key is Key, else against the record
	Recorded bool            // a record of Key is in the cache or remote
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
		return Verdict{event.Run, Changes(f.Stage, f.Inputs, f.Locked)}
	}
	if gone := unrestorable(f.Outs); len(gone) > 0 {
		return Verdict{event.Run, gone}
	}
	if !current {
		why := []Reason{{Code: event.Recorded}}
		if f.Stage.Check {
			why[0].Code = event.Passed
		}
		if f.Locked != nil { // a stage that the lock does not have has run under another name, or elsewhere
			why = append(why, Changes(f.Stage, f.Inputs, f.Locked)...)
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

// Changes says in which declared things a stage differs from its lock, all of them. Something
// in the definition that the lock does not keep, such as platform or env_mode, may be the only
// difference; then the reason says just that.
func Changes(s *spec.Stage, in Inputs, locked *lockfile.Stage) []Reason {
	if locked == nil {
		return []Reason{{Code: event.NeverRun}}
	}
	var why []Reason
	if locked.Cmd != CmdDigest(s) {
		why = append(why, Reason{Code: event.CmdChanged})
	}
	why = append(why, depChanges(in.Deps, locked.Deps)...)
	why = append(why, toolChanges(in.Tools, locked.Tools)...)
	why = append(why, paramChanges(in, locked)...)
	why = append(why, envChanges(in, locked)...)
	why = append(why, outChanges(s, locked)...)
	if len(why) == 0 {
		why = []Reason{{Code: event.DefChanged}}
	}
	return why
}

// depChanges compares deps by path and kind. A path that was a file and is a directory now, or
// the reverse, counts as changed and not as removed and added.
func depChanges(now []artifact.Input, then []artifact.Input) (why []Reason) {
	old := make(map[string]artifact.Input, len(then))
	for _, d := range then {
		old[string(d.Kind)+" "+string(d.Path)] = d
		if d.Kind != artifact.Glob {
			old[string(d.Path)] = d
		}
	}
	seen := map[repopath.Path]bool{}
	for _, d := range now {
		seen[d.Path] = true
		o, ok := old[string(d.Kind)+" "+string(d.Path)]
		if !ok {
			o, ok = old[string(d.Path)]
		}
		switch {
		case !ok:
			why = append(why, Reason{Code: event.DepAdded, Path: string(d.Path), New: d.Digest.String()})
		case o.Digest != d.Digest:
			why = append(why, Reason{Code: event.DepChanged, Path: string(d.Path), Old: o.Digest.String(), New: d.Digest.String()})
		case o.Exec != d.Exec:
			why = append(why, Reason{Code: event.DepChanged, Path: string(d.Path), Note: "its executable bit"})
		case o.Kind != d.Kind:
			why = append(why, Reason{Code: event.DepChanged, Path: string(d.Path), Note: "file or directory"})
		}
	}
	for _, d := range then {
		if !seen[d.Path] {
			why = append(why, Reason{Code: event.DepRemoved, Path: string(d.Path), Old: d.Digest.String()})
		}
	}
	return why
}

// toolChanges compares what commands printed. Where both first lines are known and differ,
// they say what changed; else the hashes do.
func toolChanges(now, then []artifact.Tool) (why []Reason) {
	byHash := func(tools []artifact.Tool) (map[string]string, map[string]string) {
		hashes, lines := map[string]string{}, map[string]string{}
		for _, t := range tools {
			hashes[t.Cmd], lines[t.Cmd] = t.Digest.String(), t.Line
		}
		return hashes, lines
	}
	old, oldLines := byHash(then)
	new, newLines := byHash(now)
	why = mapChanges(event.ToolChanged, old, new)
	for i, r := range why {
		if was, is := oldLines[r.Path], newLines[r.Path]; was != is && was != "" && is != "" {
			why[i].Old, why[i].New = strconv.Quote(was), strconv.Quote(is)
			why[i].Note = why[i].Old + " -> " + why[i].New
		}
	}
	return why
}

// paramChanges compares values in the form that the lock has of them, since that is all that
// is left of the old ones.
func paramChanges(in Inputs, locked *lockfile.Stage) []Reason {
	old, now := map[string]string{}, map[string]string{}
	for _, p := range locked.Params {
		old[string(p.File)+":"+p.Key] = shownParam(p)
	}
	for _, v := range in.Params {
		p := in.LockParam(v)
		id := string(p.File) + ":" + p.Key
		if old[id] == v.Value {
			p = lockfile.Param{Value: v.Value} // only how the lock writes it changed
		}
		now[id] = shownParam(p)
	}
	return mapChanges(event.ParamChanged, old, now)
}

// shownParam is what may be printed of a value: what the lock has of it.
func shownParam(p lockfile.Param) string {
	if !p.Hash.IsZero() {
		return "hash " + p.Hash.Short()
	}
	return p.Value
}

// envChanges compares the lock's forms of the variables. NUL separates hash and value while
// they are compared: neither can contain it.
func envChanges(in Inputs, locked *lockfile.Stage) []Reason {
	old, now := map[string]string{}, map[string]string{}
	for _, e := range locked.Env {
		old[e.Name] = e.Hash + "\x00" + e.Value
	}
	for _, e := range in.Env {
		l := LockEnv(e)
		now[e.Name] = l.Hash + "\x00" + l.Value
	}
	why := mapChanges(event.EnvChanged, old, now)
	for i := range why {
		why[i].Old, why[i].New = shownEnv(why[i].Old), shownEnv(why[i].New)
	}
	return why
}

// shownEnv is what may be printed of a variable: a value from pipe.yaml, or the hash.
func shownEnv(v string) string {
	switch hash, value, _ := strings.Cut(v, "\x00"); hash {
	case "":
		return value
	case "unset":
		return "not set"
	case "set": // a secret
		return hash
	default:
		return "hash " + hash
	}
}

// mapChanges lists what is new, gone or different, sorted by name so that output does not
// depend on the maps' order.
func mapChanges(code string, old, now map[string]string) (why []Reason) {
	for k, v := range now {
		if o, ok := old[k]; !ok || o != v {
			why = append(why, Reason{Code: code, Path: k, Old: o, New: v})
		}
	}
	for k, o := range old {
		if _, ok := now[k]; !ok {
			why = append(why, Reason{Code: code, Path: k, Old: o})
		}
	}
	sort.Slice(why, func(i, j int) bool { return why[i].Path < why[j].Path })
	return why
}

// outChanges lists outputs that were added to or removed from the declaration; what they
// contain is no input and plays no part.
func outChanges(s *spec.Stage, locked *lockfile.Stage) []Reason {
	old, now := map[string]string{}, map[string]string{}
	for _, o := range locked.Outs {
		old[string(o.Path)] = ""
	}
	for _, o := range s.Outs {
		now[string(o.Path)] = ""
	}
	return mapChanges(event.OutsChanged, old, now)
}

// Live is what an environment says of a deploy stage.
type Live struct {
	Env    string
	Status string // ok, failed, deploying, unknown; empty: never deployed
	Key    digest.Key
	Deps   []artifact.Input // what was deployed
	Tools  []artifact.Tool
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
// more is safe where to skip is not.
func DecideDeploy(s *spec.Stage, key digest.Key, in Inputs, live Live, force bool) Verdict {
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
		why = append(why, depChanges(in.Deps, live.Deps)...)
		return Verdict{event.Run, append(why, toolChanges(in.Tools, live.Tools)...)}
	}
	return Verdict{event.Run, []Reason{{Code: event.LastUnknown, Path: live.Env}}}
}
