package action

import (
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/params"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Definition is all that the key takes from pipe.yaml: a stage, and what stands beside it.
type Definition struct {
	Stage    *spec.Stage
	Loose    bool
	Platform string // what Stage.Platform stands for, on the machine that built
}

// Was is a definition that the lock was made from. It need not be believed: its hash is the
// lock's.
type Was struct {
	Definition
	Whole bool // all of it, by the key; else scripts, shell and working directory alone
}

// Recall returns what a lock's block was made from, if a candidate or a small change of the
// present definition gives the hashes in it. more offers further candidates, which may be costly
// to find: it is asked only while something is unknown that one could tell. nil: nothing is known.
func Recall(now Definition, in Inputs, locked *lockfile.Stage, more func(yield func(Definition) bool)) (best *Was) {
	try := func(d Definition) bool {
		w := prove(d, in, locked)
		if w != nil && (best == nil || w.Whole) {
			best = w
		}
		// Without the old values no key can be made: scripts are all that can be told.
		return best != nil && (best.Whole || !rebuildable(in, locked))
	}
	for _, d := range guesses(now, locked) {
		if try(d) {
			return best
		}
	}
	if more != nil {
		more(func(d Definition) bool { return !try(d) })
	}
	return best
}

// RecallLive is Recall for what is live: with the dependencies and values that the environment names, and
// the other values of today, a candidate must give the live key.
func RecallLive(now Definition, in Inputs, live Live, more func(yield func(Definition) bool)) (found *Was) {
	try := func(d Definition) bool {
		old := in
		old.Deps, old.Asked, old.Env, old.Platform = live.Deps, live.Asked, envOf(d.Stage, in, live.Values), d.Platform
		if KeyOf(d.Stage, old) == live.Key {
			found = &Was{Definition: d, Whole: true}
		}
		return found != nil
	}
	if !try(now) && more != nil {
		more(func(d Definition) bool { return !try(d) })
	}
	return found
}

// envOf returns the variables that a definition declares, with the values that are known: one
// from outside is today's. Which ones an old definition had from env files nobody has written down: they count
// as today's, too.
func envOf(s *spec.Stage, in Inputs, known map[string]string) (env []EnvValue) {
	for _, e := range declared(s, in.Env, func(v EnvValue) string { return v.Name }) {
		v := EnvValue{Name: e.Name, Value: e.Value, Set: e.Literal, Literal: e.Literal, Secret: e.Secret == spec.IsSecret}
		text, ok := known[e.Name]
		if ok {
			v.Value, v.Set, v.Literal = text, true, true
		}
		i := slices.IndexFunc(in.Env, func(v EnvValue) bool { return v.Name == e.Name })
		switch {
		case i < 0:
		case ok && in.Env[i].Set && in.Env[i].Value == text:
			v.Literal = in.Env[i].Literal // who gives a value is no change
		case !ok && !e.Literal && !in.Env[i].Literal:
			v.Value, v.Set = in.Env[i].Value, in.Env[i].Set
		}
		env = append(env, v)
	}
	return env
}

// declared returns the variables that a definition declares, and where it names env files all others of a
// list, which is sorted by name.
func declared[T any](s *spec.Stage, all []T, name func(T) string) (env []spec.Env) {
	env = s.Env
	if len(s.EnvFiles) == 0 {
		return env
	}
	for _, v := range all {
		at, ok := slices.BinarySearchFunc(env, name(v), func(e spec.Env, n string) int { return strings.Compare(e.Name, n) })
		if !ok && !s.Passes(name(v)) {
			env = slices.Insert(slices.Clone(env), at, spec.Env{Name: name(v)})
		}
	}
	return env
}

// prove compares the hashes of a definition with those of the lock.
func prove(d Definition, in Inputs, locked *lockfile.Stage) *Was {
	if CmdDigest(d.Stage) != locked.Cmd {
		return nil
	}
	old, ok := then(d, in, locked)
	return &Was{Definition: d, Whole: ok && KeyOf(d.Stage, old) == locked.Key}
}

// then returns the inputs that a lock was made from; false where it has only the hash of a value
// that is another one now.
func then(d Definition, in Inputs, locked *lockfile.Stage) (old Inputs, ok bool) {
	old = Inputs{Deps: locked.Deps, Asked: locked.Asked, Platform: d.Platform, Loose: d.Loose}
	for _, p := range locked.Params {
		v, ok := paramThen(p, in)
		if !ok {
			return old, false
		}
		old.Params = append(old.Params, params.Value{File: p.File, Key: p.Key, Value: v})
	}
	env := declared(d.Stage, locked.Env, func(e lockfile.Env) string { return e.Name })
	if len(env) != len(locked.Env) {
		return old, false
	}
	for i, e := range locked.Env {
		v, ok := envThen(e, in)
		if !ok || env[i].Name != e.Name {
			return old, false
		}
		v.Secret = env[i].Secret == spec.IsSecret
		old.Env = append(old.Env, v)
	}
	return old, true
}

// rebuildable reports whether the values behind a lock are known.
func rebuildable(in Inputs, locked *lockfile.Stage) bool {
	return !slices.ContainsFunc(locked.Params, func(p lockfile.Param) bool { _, ok := paramThen(p, in); return !ok }) &&
		!slices.ContainsFunc(locked.Env, func(e lockfile.Env) bool { _, ok := envThen(e, in); return !ok })
}

// paramThen returns a recorded value: the lock's, or today's if it has the same hash.
func paramThen(p lockfile.Param, in Inputs) (value string, ok bool) {
	if p.Hash.IsZero() {
		return p.Value, true
	}
	for _, v := range in.Params {
		if v.File == p.File && v.Key == p.Key {
			return v.Value, in.LockParam(v) == p
		}
	}
	return "", false
}

// envThen returns a recorded variable in the same way. Whether it was a secret only the
// definition says.
func envThen(e lockfile.Env, in Inputs) (EnvValue, bool) {
	switch e.Hash {
	case "":
		return EnvValue{Name: e.Name, Value: e.Value, Set: true, Literal: true}, true
	case "unset", "set":
		return EnvValue{Name: e.Name, Set: e.Hash == "set"}, true
	}
	for _, v := range in.Env {
		if v.Name == e.Name {
			return v, LockEnv(v) == e
		}
	}
	return EnvValue{}, false
}

// machines are what platform: auto mostly stands for.
var machines = [...]string{"linux/amd64", "linux/arm64", "darwin/arm64", "darwin/amd64", "windows/amd64", "windows/arm64"}

// Machines returns the definition for each machine that platform: auto may have stood for.
func (d Definition) Machines(yield func(Definition) bool) {
	if d.Stage.Platform != "auto" {
		d.Platform = d.Stage.Platform
		yield(d)
		return
	}
	for _, p := range slices.Insert(machines[:], 0, d.Platform) {
		if d.Platform = p; !yield(d) {
			return
		}
	}
}

// guesses are the definitions that differ from the present one by the lock's outputs and one
// small thing, or by shell and working directory: people mostly change one thing at a time. A
// wrong guess has another hash, so none can make a reason untrue.
func guesses(now Definition, locked *lockfile.Stage) (all []Definition) {
	s := *now.Stage
	s.Outs = nil
	for _, o := range locked.Outs {
		out := spec.Out{Path: o.Path}
		if is := now.Stage.Out(o.Path); is != nil {
			out = *is
		}
		s.Outs = append(s.Outs, out)
	}
	for _, place := range places(&s, locked) {
		s.Shell, s.Wdir = place.shell, place.wdir
		if CmdDigest(&s) == locked.Cmd {
			now.Stage = &s
			return append(options(now), now)
		}
	}
	return nil
}

// place is where a command runs.
type place struct {
	shell string
	wdir  repopath.Path
}

// places are where the command may have run: here, at the root, or in a directory that the stage
// has to do with, in either shell.
func places(s *spec.Stage, locked *lockfile.Stage) (all []place) {
	dirs := []repopath.Path{s.Wdir, repopath.Root}
	add := func(p repopath.Path) {
		for ; p != repopath.Root && p != ""; p = p.Dir() {
			dirs = append(dirs, p)
		}
	}
	for _, d := range locked.Deps {
		if d.Kind != artifact.Glob && !d.Kind.IsTop() {
			add(d.Path)
		}
	}
	for _, o := range locked.Outs {
		add(o.Path)
	}
	for _, d := range dirs {
		for _, shell := range [...]string{s.Shell, "sh", "bash"} {
			all = append(all, place{shell, d})
		}
	}
	return all
}

// options are the definitions with one option set otherwise, and first the same definition.
func options(d Definition) (all []Definition) {
	all = append(all, d)
	with := func(set func(*Definition, *spec.Stage)) {
		other, s := d, *d.Stage
		s.Outs, s.Excludes = slices.Clone(s.Outs), slices.Clone(s.Excludes)
		other.Stage = &s
		set(&other, &s)
		all = append(all, other)
	}
	with(func(d *Definition, _ *spec.Stage) { d.Loose = !d.Loose })
	with(func(_ *Definition, s *spec.Stage) { s.Check = !s.Check })
	with(func(_ *Definition, s *spec.Stage) { s.AlwaysChanged = !s.AlwaysChanged })
	for _, p := range slices.Insert(machines[:], 0, "") {
		with(func(d *Definition, _ *spec.Stage) { d.Platform = p })
	}
	for i := range d.Stage.Outs {
		with(func(_ *Definition, s *spec.Stage) { s.Outs[i].NoCache = !s.Outs[i].NoCache })
	}
	for i := range d.Stage.Excludes {
		with(func(_ *Definition, s *spec.Stage) { s.Excludes = slices.Delete(s.Excludes, i, i+1) })
	}
	return all
}
