package action

import (
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/lockfile"
)

// changes says why neither lock nor record answers for the stage.
func (f *Facts) changes() []Reason {
	if why := unfit(f.Stage, f.Unfit); len(why) > 0 {
		return why
	}
	return Changes(f.Stage, f.Inputs, f.Before, f.Was)
}

// Changes says in which declared things a stage differs from its lock, all of them. was is the
// definition that the lock was made from, as far as it is known: some of it is in the lock only
// as a part of a hash. Where that may be the only difference, the reason says no more than that.
func Changes(s *spec.Stage, in Inputs, locked *lockfile.Stage, was *Was) []Reason {
	if locked == nil {
		return []Reason{{Code: event.NeverRun}}
	}
	why := cmdChanges(s, locked, was)
	why = append(why, depChanges(in.Deps, locked.Deps)...)
	why = append(why, askedChanges(in.Asked, locked.Asked)...)
	why = append(why, paramChanges(in, locked)...)
	why = append(why, envChanges(in, locked.Env)...)
	why = append(why, outChanges(s, locked)...)
	why = append(why, optionChanges(s, in, was)...)
	if len(why) == 0 {
		why = []Reason{{Code: event.DefChanged}}
	}
	return why
}

// cmdChanges compares scripts, shell and working directory, of which the lock has one hash. It
// tells them apart only by a definition with that very hash.
func cmdChanges(s *spec.Stage, locked *lockfile.Stage, was *Was) []Reason {
	switch {
	case locked.Cmd == CmdDigest(s):
		return nil
	case was == nil:
		return []Reason{{Code: event.CallChanged}}
	}
	return callChanges(s, was)
}

func callChanges(s *spec.Stage, was *Was) (why []Reason) {
	if !slices.EqualFunc(was.Stage.Cmd, s.Cmd, func(a, b string) bool { return script(a) == script(b) }) {
		why = append(why, Reason{Code: event.CmdChanged})
	}
	why = append(why, defined("shell", was.Stage.Shell, s.Shell)...)
	return append(why, defined("wdir", string(was.Stage.Wdir), string(s.Wdir))...)
}

// liveChanges says in what a stage differs from what is live. The environment has the
// dependencies, and of all else only the key.
func liveChanges(s *spec.Stage, in Inputs, live Live, was *Was) []Reason {
	why := append(depChanges(in.Deps, live.Deps), askedChanges(in.Asked, live.Asked)...)
	if was == nil {
		return append(why, Reason{Code: event.RestChanged})
	}
	why = append(callChanges(s, was), why...)
	why = append(why, envChanges(in, lockEnv(envOf(was.Stage, in, live.Values)))...)
	return append(why, optionChanges(s, in, was)...)
}

func lockEnv(all []EnvValue) (env []lockfile.Env) {
	for _, e := range all {
		env = append(env, LockEnv(e))
	}
	return env
}

// defined is the reason that a field of the definition changed, when it did.
func defined(field, was, now string) []Reason {
	if was == now {
		return nil
	}
	return []Reason{{Code: event.DefChanged, Path: field, Old: was, New: now}}
}

// optionChanges compares what the lock has only in its key.
func optionChanges(s *spec.Stage, in Inputs, was *Was) (why []Reason) {
	if was == nil || !was.Whole {
		return nil
	}
	flag := func(field string, was, now bool) {
		why = append(why, defined(field, strconv.FormatBool(was), strconv.FormatBool(now))...)
	}
	mode := map[bool]string{true: "loose", false: "strict"}
	flag("always_changed", was.Stage.AlwaysChanged, s.AlwaysChanged)
	flag("check", was.Stage.Check, s.Check)
	if s.Deploy {
		why = append(why, defined("workdir", workdir(was.Stage), workdir(s))...)
	}
	why = append(why, defined("env_mode", mode[was.Loose], mode[in.Loose])...)
	why = append(why, defined("platform", was.Platform, in.Platform)...)
	for _, o := range s.Outs {
		if old := was.Stage.Out(o.Path); old != nil {
			flag("cache of "+string(o.Path), !old.NoCache, !o.NoCache)
		}
	}
	for _, x := range s.Excludes {
		if !slices.Contains(was.Stage.Excludes, x) {
			why = append(why, defined("deps", "", "!"+string(x))...)
		}
	}
	for _, x := range was.Stage.Excludes {
		if !slices.Contains(s.Excludes, x) {
			why = append(why, defined("deps", "!"+string(x), "")...)
		}
	}
	return why
}

// workdir is where a deploy stage runs.
func workdir(s *spec.Stage) string {
	if s.InRepo {
		return "repo"
	}
	return ""
}

// unfit says what pipe.yaml asks for about outputs and a lock or record with the same key does
// not have, or has without being asked.
func unfit(s *spec.Stage, outs []artifact.Output) (why []Reason) {
	for _, x := range outs {
		o := s.Out(x.Path)
		if o == nil {
			continue
		}
		why = append(why, defined("sha256 of "+string(o.Path), strconv.FormatBool(x.SHA256 != ""), strconv.FormatBool(o.SHA256))...)
		if o.Dir && !x.Dir {
			why = append(why, defined("outs", string(o.Path), string(o.Path)+"/")...)
		}
	}
	return why
}

// depChanges compares deps by path and kind. A path that was a file and is a directory now, or
// the reverse, counts as changed and not as removed and added.
func depChanges(now []artifact.Input, then []artifact.Input) (why []Reason) {
	old := make(map[string]artifact.Input, len(then))
	for _, d := range then {
		old[string(d.Kind)+" "+d.Name()] = d
		if d.Kind.Plain() != artifact.Glob {
			old[d.Name()] = d
		}
	}
	seen := map[string]bool{}
	for _, d := range now {
		seen[d.Name()] = true
		o, ok := old[string(d.Kind)+" "+d.Name()]
		if !ok {
			o, ok = old[d.Name()]
		}
		switch {
		case !ok:
			why = append(why, Reason{Code: event.DepAdded, Path: d.Name(), New: d.Digest.String()})
		case o.Digest != d.Digest:
			why = append(why, Reason{Code: event.DepChanged, Path: d.Name(), Old: o.Digest.String(), New: d.Digest.String(), Note: kindNote(o.Kind, d.Kind)})
		case o.Exec != d.Exec:
			why = append(why, Reason{Code: event.DepChanged, Path: d.Name(), Note: "its executable bit"})
		case o.Kind != d.Kind:
			why = append(why, Reason{Code: event.DepChanged, Path: d.Name(), Note: "file or directory"})
		}
	}
	for _, d := range then {
		if !seen[d.Name()] {
			why = append(why, Reason{Code: event.DepRemoved, Path: d.Name(), Old: d.Digest.String()})
		}
	}
	return why
}

// kindNote says that a path is not the same sort of thing any more.
func kindNote(was, now artifact.Kind) string {
	switch {
	case was.Plain() == artifact.OneFile && now.Plain() == artifact.Dir:
		return "now a directory, was a file"
	case was.Plain() == artifact.Dir && now.Plain() == artifact.OneFile:
		return "now a file, was a directory"
	}
	return ""
}

// askedChanges compares the inputs that have no path.
func askedChanges(now, then artifact.Asked) []Reason {
	why := toolChanges(now.Tools, then.Tools)
	why = append(why, namedChanges(event.ImageChanged, now.Images, then.Images)...)
	return append(why, namedChanges(event.URLChanged, now.URLs, then.URLs)...)
}

// namedChanges compares what names stood for.
func namedChanges(code string, now, then []artifact.Named) []Reason {
	answers := func(all []artifact.Named) map[string]string {
		m := map[string]string{}
		for _, n := range all {
			m[n.Name] = n.Answer
		}
		return m
	}
	why := mapChanges([3]string{event.DepAdded, code, event.DepRemoved}, answers(then), answers(now))
	for i, r := range why {
		if r.Code == code {
			why[i].Note = artifact.ShortAnswer(r.Old) + " -> " + artifact.ShortAnswer(r.New)
		}
	}
	return why
}

// toolChanges compares what commands printed. Where both first lines are known and differ,
// they are told, too.
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
	why = mapChanges([3]string{event.DepAdded, event.ToolChanged, event.DepRemoved}, old, new)
	for i, r := range why {
		if was, is := oldLines[r.Path], newLines[r.Path]; was != is && was != "" && is != "" {
			why[i].Note = strconv.Quote(was) + " -> " + strconv.Quote(is)
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
	return mapChanges([3]string{event.ParamAdded, event.ParamChanged, event.ParamRemoved}, old, now)
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
func envChanges(in Inputs, was []lockfile.Env) []Reason {
	old, now := map[string]string{}, map[string]string{}
	for _, e := range was {
		old[e.Name] = e.Hash + "\x00" + e.Value
	}
	for _, e := range in.Env {
		l := LockEnv(e)
		now[e.Name] = l.Hash + "\x00" + l.Value
	}
	why := mapChanges([3]string{event.EnvAdded, event.EnvChanged, event.EnvRemoved}, old, now)
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

// mapChanges lists what is new, different or gone, each with its code, sorted by name so that
// output does not depend on the maps' order.
func mapChanges(codes [3]string, old, now map[string]string) (why []Reason) {
	for k, v := range now {
		o, ok := old[k]
		switch {
		case !ok:
			why = append(why, Reason{Code: codes[0], Path: k, New: v})
		case o != v:
			why = append(why, Reason{Code: codes[1], Path: k, Old: o, New: v})
		}
	}
	for k, o := range old {
		if _, ok := now[k]; !ok {
			why = append(why, Reason{Code: codes[2], Path: k, Old: o})
		}
	}
	sort.Slice(why, func(i, j int) bool { return why[i].Path < why[j].Path })
	return why
}

// outChanges lists outputs that were added to or removed from the declaration; what they
// contain is not an input and does not matter.
func outChanges(s *spec.Stage, locked *lockfile.Stage) []Reason {
	old, now := map[string]string{}, map[string]string{}
	for _, o := range locked.Outs {
		old[string(o.Path)] = string(o.Path)
	}
	for _, o := range s.Outs {
		now[string(o.Path)] = string(o.Path)
	}
	return mapChanges([3]string{event.OutsChanged, event.OutsChanged, event.OutsChanged}, old, now)
}
