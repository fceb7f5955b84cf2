// Package action decides from values alone what a stage must do.
//
// It holds three things. KeyOf makes the key of a stage: the name of the question "what does
// this command make of these inputs?", under which records stand in every store. Decide and
// DecideDeploy give the verdict with all its reasons. A Job and what was Made of it are what
// the engine and a runner say to each other.
//
// Nothing here reads a file, asks a store or looks at a clock: whoever calls has gathered the
// Facts before, so equal facts give equal verdicts on every machine, and tests need no
// workspace. The form of the key is frozen (FORMAT.md, testdata/vectors): two versions of pipe
// that computed different keys for one stage would each rebuild what the other has built.
package action

import (
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/params"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// salt names the form of the key; FORMAT.md describes it.
const salt = "pipe key 1"

// Inputs are the values that a stage's declared inputs have now. Lists are in the order of the
// stage's own lists, which package spec has sorted.
type Inputs struct {
	Deps []artifact.Input // in the order of Stage.Deps
	artifact.Asked
	Params   []params.Value  // sorted by file, then key
	Env      []EnvValue      // in the order of Stage.Env
	Platform string          // what Stage.Platform stands for here; empty: it is not set
	Loose    bool            // a build stage sees the whole environment
	Hidden   []repopath.Path // params files that git ignores: their values stay out of lock and reasons
}

// EnvValue is a declared variable's value; an unset one differs from an empty one. A literal's
// value counts like any other, but the lock may show it.
type EnvValue struct {
	Name    string
	Value   string
	Set     bool
	Literal bool // written in pipe.yaml; whether it is does not change the key
	Secret  bool // only whether it is set is in key and lock
	Mask    bool // nobody said that it is a secret, but its name does: it is masked like one
}

// state is what the key says of a variable beside its value: bit 0 that it is set, bit 1 that
// it is a secret. Only so do an unset variable and an empty one get different keys.
func (e EnvValue) state() (n uint64) {
	if e.Secret {
		n = 2
	}
	if e.Set {
		n++
	}
	return n
}

// KeyOf returns the key: the hash over the whole definition and all inputs, each field by its
// name, those that have their default value left out. So a field that a later version adds
// changes no key of a stage that does not use it. The key does not depend on the order of
// lists, but for scripts. Timeout, retries, pass_env, mutex, needs, description, verify, drift, undeploy, barrier and
// the options persist, push and sha256 are not in it: they change when and how a command is run or
// what becomes of what it makes, not what that is.
func KeyOf(s *spec.Stage, in Inputs) digest.Key {
	f := digest.NewFrame(salt)
	flag := func(name string, set bool) {
		if set {
			f.Field(name, func(v *digest.Frame) { v.Bool(true) })
		}
	}
	text := func(name, value, standard string) {
		if value != standard {
			f.Field(name, func(v *digest.Frame) { v.String(value) })
		}
	}
	// The fields, sorted by name.
	flag("always_changed", s.AlwaysChanged)
	flag("check", s.Check)
	frameList(f, "cmd", s.Cmd, func(v *digest.Frame, c string) { v.String(script(c)) })
	flag("deploy", s.Deploy)
	frameList(f, "deps", in.Deps, func(v *digest.Frame, d artifact.Input) {
		v.String(string(d.Path))
		v.String(string(d.Kind))
		v.Bool(d.Exec)
		v.Bytes(d.Digest[:])
	})
	frameList(f, "env", in.Env, func(v *digest.Frame, e EnvValue) {
		v.String(e.Name)
		v.Uint(e.state())
		if e.Secret {
			e.Value = ""
		}
		v.String(e.Value)
	})
	if in.Loose && !s.Deploy {
		text("env_mode", "loose", "")
	}
	frameList(f, "excludes", s.Excludes, func(v *digest.Frame, x repopath.Pattern) { v.String(string(x)) })
	frameList(f, "images", in.Images, frameNamed)
	flag("input", s.Input)
	frameList(f, "outs", s.Outs, func(v *digest.Frame, o spec.Out) {
		v.String(string(o.Path))
		v.Bool(o.NoCache)
	})
	frameList(f, "params", in.Params, func(v *digest.Frame, p params.Value) {
		v.String(string(p.File))
		v.String(p.Key)
		v.String(p.Value)
	})
	text("platform", in.Platform, "")
	text("shell", s.Shell, "sh")
	frameList(f, "tools", in.Tools, func(v *digest.Frame, t artifact.Tool) {
		v.String(t.Cmd)
		v.Bytes(t.Digest[:])
	})
	frameList(f, "urls", in.URLs, frameNamed)
	text("wdir", string(s.Wdir), string(repopath.Root))
	if s.InRepo {
		text("workdir", "repo", "")
	}
	return f.Sum()
}

// frameNamed adds a name and what it stands for.
func frameNamed(v *digest.Frame, n artifact.Named) {
	v.String(n.Name)
	v.String(n.Answer)
}

// frameList adds a field with a list, its length before its items, unless it is empty. The
// length keeps apart what two neighboring lists would otherwise share.
func frameList[T any](f *digest.Frame, name string, items []T, one func(*digest.Frame, T)) {
	if len(items) == 0 {
		return
	}
	f.Field(name, func(v *digest.Frame) {
		v.Uint(uint64(len(items)))
		for _, it := range items {
			one(v, it)
		}
	})
}

// script is a script as the key takes it: YAML's block style adds one newline that
// the same command on one line does not have.
func script(c string) string { return strings.TrimSuffix(c, "\n") }

// CmdDigest returns the hash of scripts, shell and working directory, which the lock keeps so
// that a later run can say that they changed. It is for a message alone; the key covers the
// same fields itself.
func CmdDigest(s *spec.Stage) digest.Digest {
	f := digest.NewFrame("pipe cmd 1")
	f.String(s.Shell)
	f.String(string(s.Wdir))
	f.Uint(uint64(len(s.Cmd)))
	for _, c := range s.Cmd {
		f.String(script(c))
	}
	return digest.Digest(f.Sum())
}

// maxLockValue is the longest value in bytes that stands in the lock as it is: longer ones
// would make its diffs unreadable, and a hash tells as well that they changed.
const maxLockValue = 256

// LockParam returns how a value stands in the lock: as it is, or by its hash when it is long
// or its file must not be committed. Its file must not be committed when git ignores it.
func (in *Inputs) LockParam(v params.Value) lockfile.Param {
	p := lockfile.Param{File: v.File, Key: v.Key, Value: v.Value}
	if len(v.Value) > maxLockValue || slices.Contains(in.Hidden, v.File) {
		p.Value, p.Hash = "", digest.Of([]byte(v.Value))
	}
	return p
}

// LockEnv returns how a declared variable stands in the lock: a value from pipe.yaml as it is,
// one from outside only by a hash. The hash covers the name too, so that equal values of two
// variables do not show as equal. It is short because it only has to say that something
// changed (ADR 0003).
func LockEnv(e EnvValue) lockfile.Env {
	switch {
	case e.Secret && e.Set:
		return lockfile.Env{Name: e.Name, Hash: "set"}
	case e.Literal:
		return lockfile.Env{Name: e.Name, Value: e.Value}
	case !e.Set:
		return lockfile.Env{Name: e.Name, Hash: "unset"}
	}
	f := digest.NewFrame("pipe env 1")
	f.String(e.Name)
	f.String(e.Value)
	return lockfile.Env{Name: e.Name, Hash: f.Sum().Short()}
}

// What the names of the variables that hold hashes begin with.
const (
	HashPrefix   = "PIPE_HASH_"   // BLAKE3, as b3sum prints it
	SHA256Prefix = "PIPE_SHA256_" // SHA-256, of outputs that ask for it
)

// IsHashVariable reports whether a name is one of those that commands receive
// hashes in; those of an outer pipe must not reach its commands.
func IsHashVariable(name string) bool {
	return strings.HasPrefix(name, HashPrefix) || strings.HasPrefix(name, SHA256Prefix)
}

// Variable returns the name of the environment variable that holds the hash of
// path: the prefix and the path in upper case, every character but letters and
// digits as an underscore. artifacts/my-app.zip is PIPE_HASH_ARTIFACTS_MY_APP_ZIP.
func Variable(prefix string, path repopath.Path) string {
	return prefix + strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, string(path))
}

// Variables returns NAME=hash for every path, sorted as given. If two paths map to the same
// name but differ, neither is set: the hash of the other path would go unnoticed.
func Variables(prefix string, hashes []Named) []string {
	byName := make(map[string]string, len(hashes))
	clash := map[string]bool{}
	for _, h := range hashes {
		name := Variable(prefix, h.Path)
		if old, ok := byName[name]; ok && old != h.Hash {
			clash[name] = true
		}
		byName[name] = h.Hash
	}
	var out []string
	for _, h := range hashes {
		name := Variable(prefix, h.Path)
		if _, ok := byName[name]; ok && !clash[name] {
			out = append(out, name+"="+h.Hash)
			delete(byName, name)
		}
	}
	return out
}

// Named is a path and its hash in hexadecimal digits.
type Named struct {
	Path repopath.Path
	Hash string
}
