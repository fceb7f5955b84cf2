// Package spec reads pipe.yaml, returning all faults with places.
//
// Parse is the way in; a Project that it returns is checked, and nothing behind it checks
// again. What it promises:
//
//   - All lists of a stage are sorted and without repetitions, whatever their order in the
//     file, so the key does not depend on it. Only scripts keep their order.
//   - All paths are relative to the project's root and stay inside it; wdir is resolved. Only a
//     dep may lie outside: Dep.Top says so, and its path is from the top of the git repository.
//   - No two outs are equal or lie inside one another, so each path has at most one maker.
//   - The graph has no cycle.
//
// Faults are collected, never returned one by one: a fault leaves its item out, and reading
// goes on. Keys that a later version may read are told apart from typing errors. Reading is
// pure: no file is looked at, so whether a dep exists is found out when it is hashed.
//
// spec.go has the types. parse.go reads the file, top.go the keys at its top, remotes.go its remotes, stage.go a stage, items.go
// the items of its lists, envfile.go and passenv.go its variables from elsewhere, input.go the inputs, sources.go and limits.go what their names say.
// Before a stage is read, vars.go, template.go, generate.go and include.go have made it of templates, groups and other files (LANGUAGE.md). check.go
// finds what is wrong between them. entry.go reads environments, reach.go compares them with the stages,
// expand.go settles what they are, and environments.go answers for them. text.go changes a file and
// leaves the rest as it is, for freeze.go, input.go, remote.go and addstage.go; edit.go adds the name. schema.json is the same for editors.
package spec

import (
	"slices"
	"strings"
	"time"

	"github.com/pipe-build/pipe/internal/dotenv"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// FileName is the file that declares a project.
const FileName = "pipe.yaml"

// Project is a whole pipe.yaml, checked.
type Project struct {
	Name    string   // project:, which names it in a shared store; may be empty
	Remotes []Remote // in the file's order; the first is the default
	Loose   bool     // env_mode: loose: build stages see the whole environment
	Stages  []Stage  // sorted by name; the inputs are among them

	EnvFiles []EnvFile    // of the top level; each stage has them among its own
	Shared   []dotenv.Var // what these say; see WithEnv

	Sources     []Source // sorted by path
	Limits      []Limit  // sorted by mutex
	StateRemote string   // of those in Remotes, keeps the environments' states; empty: the first
	stateAt     string   // place of StateRemote
	entries     []entry  // of environments:, sorted by name; Expand makes the Environments of them

	Files   []repopath.Path // that were read beside pipe.yaml: of vars and include
	Notes   []string        // for people
	Metrics []repopath.Path // files that pipe metrics shows, beside the metrics of stages; sorted

	LockCommit string // where pipe ci commits pipe.lock to: one of the constants; empty: LockPush
	DeployOn   string // without environments, the branch on which pipe ci runs the deploy stages; empty: the default one
}

// What lock: {commit: ...} says.
const (
	LockPush   = "push"   // on the branch that is built
	LockPR     = "pr"     // as a pull request to it
	LockBranch = "branch" // on a branch of its own
	LockOff    = "off"    // nowhere
)

// LockCommits returns all that lock: {commit: ...} can say.
func LockCommits() []string { return []string{LockPush, LockPR, LockBranch, LockOff} }

// Remote is one shared store.
type Remote struct {
	Name      string // "default" when remote: is a plain text
	URL       string // scheme://..., or a directory, absolute or relative to the project
	Region    string
	Endpoint  string // URL of an S3-compatible server
	Profile   string // section of the AWS configuration files
	PathStyle bool   // bucket in the path, not in the host name
	SSE       string // AES256 or aws:kms
	SSEKey    string // KMS key id
	Place     string // file:line:col
}

// Stage is a command with declared inputs and outputs. All paths are relative to
// the repository's root, whatever wdir is.
type Stage struct {
	Name          string
	Group         string        // the name of the foreach or matrix that it comes from; may be empty
	File          repopath.Path // that declares it, where pipe.yaml includes one; empty: pipe.yaml itself
	Place         string        // file:line:col of its name
	Cmd           []string      // scripts; each is one shell, run in order
	Shell         string        // "sh" or "bash"
	Wdir          repopath.Path
	Deps          []Dep              // sorted by path
	Tools         []Asked            // sorted by command; from {cmd: command} among the deps
	Images        []Asked            // sorted by name; from {image: NAME} among the deps
	URLs          []Asked            // sorted; from {url: URL} among the deps
	Excludes      []repopath.Pattern // sorted; from "!pattern" among the deps
	Params        []Params           // sorted by file
	Env           []Env              // sorted by name
	EnvFiles      []EnvFile          // those of the top level, then its own: the later wins
	PassEnv       []string           // sorted; names and patterns of variables that reach the command beside the key
	Passed        []dotenv.Var       // of EnvFiles, that PassEnv names; see WithEnv
	Outs          []Out              // sorted by path
	Frozen        bool
	AlwaysChanged bool
	Input         bool          // an input of the project: no command, and one out that people put there
	Needs         []Need        // sorted by name; stages that come before, though they make no input
	Check         bool          // check: true: its result is that it succeeded
	Deploy        bool          // deploy: true, or neither outs nor check: true
	Inferred      bool          // a deploy stage that does not say so
	InRepo        bool          // workdir: repo: a deploy stage runs in the repository itself
	Platform      string        // "auto", or a text that becomes part of the key; empty: not set
	Timeout       time.Duration // 0: none; of one attempt
	Retries       int           // further attempts after the command has failed
	Mutex         string        // stages with the same one never run at once
	Verify        Verify        // of a deploy stage, decides whether it works; without Cmd the command's own success does
	Drift         string        // of a deploy stage: a command that succeeds while what runs is what was deployed; may be empty
	Undeploy      string        // of a deploy stage: the command that takes it down; may be empty
	Barrier       bool          // of a deploy stage: a rollback that would change its key needs a yes of its own
	When          *When         // nil: the stage is in every run
	Desc          string
	Meta          string // canonical text of a value, for others to read
}

// Dep is a declared input: a file or directory, or a glob.
type Dep struct {
	Path  repopath.Path    // empty for a glob
	Glob  repopath.Pattern // empty for a path
	Top   bool             // it lies outside the project: from the top of its git repository
	Dir   bool             // written with a slash at its end: must be a directory
	Push  Push             // of a deploy stage's dep that is a path
	Place string
}

// Asked is an input that somebody must be asked for: a command, an image or a URL.
type Asked struct {
	Name  string // of a command, without a newline at its end
	Place string
}

// Push is what a dep of a deploy stage says about its bytes.
type Push uint8

// The kinds of push. Where nothing is said, files that git ignores are not deployed.
const (
	PushUnsaid Push = iota
	PushYes         // push: true: they may be published, ignored or not
	PushNo          // push: false: they never leave this machine
)

// String returns the path or the glob. A lock names the dep by it.
func (d Dep) String() string {
	if d.Glob != "" {
		return string(d.Glob)
	}
	return string(d.Path)
}

// Name is String for people: no two deps of a stage have the same.
func (d Dep) Name() string {
	if d.Top {
		return artifact.AtTop + d.String()
	}
	return d.String()
}

// Base is the file or directory where reading the dep begins.
func (d Dep) Base() repopath.Path {
	if d.Glob != "" {
		return d.Glob.Base()
	}
	return d.Path
}

// Outside reports whether the stage reads something outside the project.
func (s *Stage) Outside() bool { return slices.ContainsFunc(s.Deps, func(d Dep) bool { return d.Top }) }

// Need is a stage that must be done before another one.
type Need struct {
	Stage string
	Place string
}

// Params are plain keys of one YAML, JSON or TOML file.
type Params struct {
	File  repopath.Path
	Keys  []string // dotted; sorted; empty: the whole file
	Place string

	Places map[string]string // of Keys
}

// Env is a declared environment variable.
type Env struct {
	Name    string
	Value   string // when Literal
	Literal bool   // the value is written in pipe.yaml; else it is taken from pipe's own environment
	Secret  Secret // secret: true or false
	Place   string
	File    *dotenv.Var // what the env files say of it; nil: nothing. See WithEnv
}

// Secret is what a declaration says about a variable's value.
type Secret uint8

// The kinds of values. An Unsaid one whose name looks like a secret's is noted.
const (
	Unsaid    Secret = iota
	IsSecret         // secret: true: only whether it is set is in key and lock, and it is masked
	NotSecret        // secret: false
)

// LooksSecret reports whether the variable's value comes from outside, nobody said whether it
// is a secret, and a whole word of its name says that it is one. Whole words only: MONKEY and
// KEYBOARD are no keys.
func (e Env) LooksSecret() bool {
	if e.Literal || e.Secret != Unsaid {
		return false
	}
	return slices.ContainsFunc(strings.Split(strings.ToUpper(e.Name), "_"), func(w string) bool {
		switch w {
		case "TOKEN", "SECRET", "PASSWORD", "PASSWD", "KEY", "PIN", "CREDENTIAL":
			return true
		}
		return false
	})
}

// LookSecret returns the variables that LooksSecret names, each once.
func (p *Project) LookSecret() (vars []Env) {
	seen := map[string]bool{}
	for i := range p.Stages {
		for _, e := range p.Stages[i].Env {
			if e.LooksSecret() && !seen[e.Name] {
				seen[e.Name] = true
				vars = append(vars, e)
			}
		}
	}
	return vars
}

// Out is a declared output.
type Out struct {
	Path     repopath.Path
	Sort     OutSort
	Dir      bool   // written with a slash at its end
	NoCache  bool   // cache: false: digest only, the bytes are kept elsewhere (in git)
	Persist  bool   // persist: true: a copy of the last one lies there when the command begins
	NoPush   bool   // push: false: never leaves this machine
	SHA256   bool   // sha256: true: the record and commands get that hash, too
	Report   bool   // report: true: the newest stays where it is, also after a failure; nothing depends on it
	Remote   string // of those in pipe.yaml, has its bytes in place of the default; empty: none is named
	Place    string
	RemoteAt string // place of Remote
}

// Leaf reports whether nothing can depend on the out, which the stage makes.
func (s *Stage) Leaf(o *Out) bool { return s.Check || o.Report }

// Stage returns the stage with the name, nil when there is none. It relies on Stages being
// sorted.
func (p *Project) Stage(name string) *Stage {
	if i := p.at(name); i >= 0 {
		return &p.Stages[i]
	}
	return nil
}

// at returns the index of the stage with the name, -1 when there is none.
func (p *Project) at(name string) int {
	i, ok := slices.BinarySearchFunc(p.Stages, name, func(s Stage, name string) int { return strings.Compare(s.Name, name) })
	if !ok {
		return -1
	}
	return i
}

// Out returns the stage's output at the path, nil when it has none there. It relies on Outs
// being sorted.
func (s *Stage) Out(p repopath.Path) *Out {
	i, ok := slices.BinarySearchFunc(s.Outs, p, func(o Out, p repopath.Path) int { return strings.Compare(string(o.Path), string(p)) })
	if !ok {
		return nil
	}
	return &s.Outs[i]
}

// Made names one of the stage's outs for people.
func (s *Stage) Made(p repopath.Path) string {
	if s.Input {
		return "input " + string(p)
	}
	return "output " + string(p) + " of stage " + s.Name
}
