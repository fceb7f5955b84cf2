// Package action decides from values alone what a stage must do.
package action

import (
	"strings"

	"github.com/pipe-build/pipe/internal/params"
	"github.com/pipe-build/pipe/internal/repopath"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/lockfile"
)

// salt names the form of the key; FORMAT.md describes it. A new form takes a new number.
const salt = "pipe key 1"

// Inputs are the values that a stage's declared inputs have now.
type Inputs struct {
	Deps       []Input        // in the order of Stage.Deps
	Params     []params.Value // sorted by file, then key
	Env        []EnvValue     // in the order of Stage.Env
	Generation int
}

// Input is the state of one dep.
type Input struct {
	Path   repopath.Path // or the pattern of a glob
	Kind   lockfile.Kind
	Exec   bool
	Digest digest.Digest
	Size   int64
	Files  int64
	In     digest.Digest // see lockfile.Dep
}

// EnvValue is a declared variable's value; an unset one differs from an empty one.
type EnvValue struct {
	Name    string
	Value   string
	Set     bool
	Literal bool // stands in pipe.yaml; not in the key
}

// KeyOf returns the key: the hash over length-framed fields of the whole
// definition and of all inputs. It does not depend on the order of lists.
func KeyOf(s *spec.Stage, in Inputs) digest.Key {
	f := digest.NewFrame(salt)
	f.Uint(uint64(in.Generation))
	f.Bool(s.Deploy)
	f.Bool(s.InRepo)
	f.Bool(s.AlwaysChanged)
	frameCmd(f, s)
	f.Uint(uint64(len(in.Env)))
	for _, e := range in.Env {
		f.String(e.Name)
		f.Bool(e.Set)
		f.String(e.Value)
	}
	f.Uint(uint64(len(in.Params)))
	for _, p := range in.Params {
		f.String(string(p.File))
		f.String(p.Key)
		f.String(p.Value)
	}
	f.Uint(uint64(len(in.Deps)))
	for _, d := range in.Deps {
		f.String(string(d.Path))
		f.String(string(d.Kind))
		f.Bool(d.Exec)
		f.Bytes(d.Digest[:])
	}
	f.Uint(uint64(len(s.Excludes)))
	for _, x := range s.Excludes {
		f.String(string(x))
	}
	f.Uint(uint64(len(s.Outs)))
	for _, o := range s.Outs {
		f.String(string(o.Path))
		f.Bool(o.NoCache)
		f.Bool(o.Persist)
		f.Bool(o.NoPush)
	}
	return f.Sum()
}

func frameCmd(f *digest.Frame, s *spec.Stage) {
	f.String(s.Shell)
	f.String(string(s.Wdir))
	f.Uint(uint64(len(s.Cmd)))
	for _, c := range s.Cmd {
		f.String(c)
	}
}

// CmdDigest returns the hash of scripts, shell and working directory, which the
// lock keeps so that a later run can say that they changed.
func CmdDigest(s *spec.Stage) digest.Digest {
	f := digest.NewFrame("pipe cmd 1")
	frameCmd(f, s)
	return digest.Digest(f.Sum())
}

// LockEnv returns how a declared variable stands in the lock: a value from
// pipe.yaml as it is, one from outside only by a hash.
func LockEnv(e EnvValue) lockfile.Env {
	switch {
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

// Variable returns the name of the environment variable that holds the hash of
// path: PIPE_HASH_ and the path in upper case, every character but letters and
// digits as an underscore. artifacts/my-app.zip is PIPE_HASH_ARTIFACTS_MY_APP_ZIP.
func Variable(path repopath.Path) string {
	return "PIPE_HASH_" + strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, string(path))
}

// Variables returns NAME=hex for every path, sorted as given. Where two paths
// with different hashes come to the same name, neither is set.
func Variables(hashes []Named) []string {
	byName := make(map[string]digest.Digest, len(hashes))
	clash := map[string]bool{}
	for _, h := range hashes {
		name := Variable(h.Path)
		if d, ok := byName[name]; ok && d != h.Digest {
			clash[name] = true
		}
		byName[name] = h.Digest
	}
	var out []string
	for _, h := range hashes {
		name := Variable(h.Path)
		if _, ok := byName[name]; ok && !clash[name] {
			out = append(out, name+"="+h.Digest.Hex())
			delete(byName, name)
		}
	}
	return out
}

// Named is a path and its hash.
type Named struct {
	Path   repopath.Path
	Digest digest.Digest
}
