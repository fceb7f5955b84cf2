package release

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/canon"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/params"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// ReleaseSchema is the number of the form of a Release that this version reads and writes.
const ReleaseSchema = 1

// needsNames is the feature that some inputs have names, Images and URLs: without it a reader would take another key
// for that of the release, and deploy it again.
const needsNames = "names"

// Release is everything that a deployment needs but the values of the environment: with it a
// directory that has pipe.yaml alone can deploy. It is immutable and named by its content, and
// says neither who made it, when, nor from which commit: equal work has one name.
type Release struct {
	Schema   int             `json:"schema"`
	Project  string          `json:"project,omitempty"`
	Requires []string        `json:"requires,omitempty"` // what a reader must understand to deploy it
	Stages   map[string]Part `json:"stages"`             // the deploy stages
}

// Part is one deploy stage of a release. What is in its key stands here as the key takes it,
// but for the values of variables, which are those of the environment.
type Part struct {
	Cmd            []string           `json:"cmd"`
	Shell          string             `json:"shell"`
	Wdir           repopath.Path      `json:"wdir"`
	Deps           []artifact.Input   `json:"deps,omitempty"`
	artifact.Asked                    // tools without their lines
	Excludes       []repopath.Pattern `json:"excludes,omitempty"`
	Params         []Param            `json:"params,omitempty"`
	Env            []Var              `json:"env,omitempty"`
	Platform       string             `json:"platform,omitempty"`
	AlwaysChanged  bool               `json:"always_changed,omitempty"`
	InRepo         bool               `json:"in_repo,omitempty"` // it runs in a checkout alone

	Closure   digest.Digest     `json:"closure"`             // tree of all files that the command gets
	Size      int64             `json:"size"`                // of these files, in bytes
	Files     int64             `json:"files,omitempty"`     // how many there are
	Dir       repopath.Path     `json:"dir,omitempty"`       // of the project in it; empty: the closure has the project alone
	Local     bool              `json:"local,omitempty"`     // a part of it must not leave the machine that made it
	Artifacts []artifact.Output `json:"artifacts,omitempty"` // outs of other stages in the closure
	Whole     []repopath.Path   `json:"whole,omitempty"`     // those of Artifacts that are deps as a whole: they have hash variables

	Needs    []string      `json:"needs,omitempty"` // stages of the release that come before, sorted
	Timeout  time.Duration `json:"timeout,omitempty"`
	Retries  int           `json:"retries,omitempty"`
	Mutex    string        `json:"mutex,omitempty"`
	Barrier  bool          `json:"barrier,omitempty"`
	Verify   *Verify       `json:"verify,omitempty"`
	Drift    string        `json:"drift,omitempty"`
	Undeploy string        `json:"undeploy,omitempty"`
}

// Param is a value of a params file.
type Param struct {
	File  repopath.Path `json:"file"`
	Key   string        `json:"key,omitempty"` // empty: the whole file
	Value string        `json:"value"`         // its canonical text
}

// Var is a declared variable. Its value is the environment's, else the process's, but for one
// with a literal.
type Var struct {
	Name    string  `json:"name"`
	Literal *string `json:"literal,omitempty"` // what it is where the environment does not say otherwise
	Secret  bool    `json:"secret,omitempty"`
}

// Verify decides whether a deployment works.
type Verify struct {
	Cmd     string        `json:"cmd"`
	Retries int           `json:"retries,omitempty"`
	Every   time.Duration `json:"every,omitempty"`
}

// PartOf describes a deploy stage with its inputs as they are. The values of its variables are
// left out.
func PartOf(s *spec.Stage, in action.Inputs) Part {
	p := Part{
		Cmd: slices.Clone(s.Cmd), Shell: s.Shell, Wdir: s.Wdir, Deps: in.Deps, Excludes: s.Excludes, Platform: in.Platform,
		AlwaysChanged: s.AlwaysChanged, InRepo: s.InRepo, Timeout: s.Timeout, Retries: s.Retries, Mutex: s.Mutex, Barrier: s.Barrier, Drift: s.Drift, Undeploy: s.Undeploy,
	}
	p.Images, p.URLs = in.Images, in.URLs
	for _, t := range in.Tools {
		t.Line = ""
		p.Tools = append(p.Tools, t)
	}
	for _, v := range in.Params {
		if slices.Contains(in.Hidden, v.File) {
			// It must not be published, and without it nobody else can tell the key.
			p.Local = true
			continue
		}
		p.Params = append(p.Params, Param{v.File, v.Key, v.Value})
	}
	for _, e := range s.Env {
		v := Var{Name: e.Name, Secret: e.Secret == spec.IsSecret}
		if e.Literal {
			v.Literal = &e.Value
		}
		p.Env = append(p.Env, v)
	}
	if s.Verify.Cmd != "" {
		p.Verify = &Verify{s.Verify.Cmd, s.Verify.Retries, s.Verify.Every}
	}
	return p
}

// Known returns the values of variables that may stand in a state: those that pipe.yaml or
// --set gave, as they are, and of those that came from outside a hash, by which a change shows.
func Known(values []action.EnvValue) (known, outside map[string]string) {
	known, outside = map[string]string{}, map[string]string{}
	for _, v := range values {
		if v.Literal && !v.Secret {
			known[v.Name] = v.Value
			continue
		}
		outside[v.Name] = action.LockEnv(v).Hash
		if outside[v.Name] == "" {
			outside[v.Name] = "unset"
		}
	}
	return known, outside
}

// Stage returns the part as pipe.yaml would declare it, and its inputs with the values given:
// what a runner and the key take. It is the inverse of PartOf.
func (p *Part) Stage(name string, values []action.EnvValue) (*spec.Stage, action.Inputs) {
	s := &spec.Stage{
		Name: name, Env: p.declared(), Place: spec.FileName, Cmd: p.Cmd, Shell: p.Shell, Wdir: p.Wdir, Excludes: p.Excludes, Deploy: true, InRepo: p.InRepo,
		AlwaysChanged: p.AlwaysChanged, Timeout: p.Timeout, Retries: p.Retries, Mutex: p.Mutex, Barrier: p.Barrier, Drift: p.Drift, Undeploy: p.Undeploy,
	}
	if p.Verify != nil {
		s.Verify = spec.Verify{Cmd: p.Verify.Cmd, Retries: p.Verify.Retries, Every: p.Verify.Every}
	}
	in := action.Inputs{Deps: p.Deps, Asked: p.Asked, Platform: p.Platform, Env: values}
	for _, v := range p.Params {
		in.Params = append(in.Params, params.Value{File: v.File, Key: v.Key, Value: v.Value})
	}
	return s, in
}

// declared returns the variables as pipe.yaml declares them.
func (p *Part) declared() (all []spec.Env) {
	for _, v := range p.Env {
		e := spec.Env{Name: v.Name}
		if v.Literal != nil {
			e.Literal, e.Value = true, *v.Literal
		}
		if v.Secret {
			e.Secret = spec.IsSecret
		}
		all = append(all, e)
	}
	return all
}

// Key returns the key of the part with the values given.
func (p *Part) Key(name string, values []action.EnvValue) digest.Key {
	s, in := p.Stage(name, values)
	return action.KeyOf(s, in)
}

// Hashes returns the variables with the hashes of what the command gets.
func (p *Part) Hashes() []string {
	var hashes, sums []action.Named
	for _, d := range p.Deps {
		hashes = append(hashes, action.Named{Path: d.Path, Hash: d.Digest.Hex()})
	}
	for _, o := range p.Artifacts {
		if !slices.Contains(p.Whole, o.Path) {
			continue // no part of the key is the hash of the whole
		}
		hashes = append(hashes, action.Named{Path: o.Path, Hash: o.Digest.Hex()})
		if o.SHA256 != "" {
			sums = append(sums, action.Named{Path: o.Path, Hash: o.SHA256})
		}
	}
	return append(action.Variables(action.HashPrefix, hashes), action.Variables(action.SHA256Prefix, sums)...)
}

// ClosureAt is the path of a closure as an output. No output of a stage has it, and with it a remote of
// its own.
const ClosureAt repopath.Path = ".pipe/closure"

// Output is the closure as an output, by which a carrier copies it.
func (p *Part) Output() artifact.Output {
	return artifact.Output{Path: ClosureAt, Dir: true, Digest: p.Closure, Size: p.Size, Files: p.Files}
}

// Encode returns the release's bytes and its name.
func (r *Release) Encode() ([]byte, ID, error) {
	b, err := canon.Marshal(r)
	if err == nil && len(b) > store.MaxSmall {
		err = fmt.Errorf("the release would be larger than %d MiB", store.MaxSmall>>20)
	}
	id := ID(digest.Of(b))
	if err == nil {
		err = r.check(id, b) // what nobody could read is not written
	}
	return b, id, err
}

// Names returns the stages in an order in which each comes after those that it needs. Those that
// need each other in a circle are not in it, nor what needs them.
func (r *Release) Names() (order []string) {
	names := slices.Sorted(maps.Keys(r.Stages))
	for {
		left := slices.DeleteFunc(slices.Clone(names), func(name string) bool {
			ready := !slices.ContainsFunc(r.Stages[name].Needs, func(n string) bool { return slices.Contains(names, n) && !slices.Contains(order, n) })
			if ready {
				order = append(order, name)
			}
			return ready
		})
		if len(left) == len(names) {
			return order
		}
		names = left
	}
}

// Roots returns the objects that the release names: what gc must keep.
func (r *Release) Roots() (refs []object.Ref) {
	for _, p := range r.Stages {
		refs = append(refs, p.Roots()...)
	}
	return refs
}

// Roots returns the objects that the part names.
func (p *Part) Roots() []object.Ref { return roots(p.Closure, p.Deps, p.Artifacts) }

// releaseAt is where a release lies.
func releaseAt(project string, id ID) string { return base(project) + "releases/" + id.String() }

// Publish puts a release where everybody finds it by its name, and notes that a commit made it.
// The objects that it names must be there before. Putting it twice does no harm.
func (e *Environment) Publish(ctx context.Context, r *Release, commit string) (ID, error) {
	b, id, err := r.Encode()
	if err != nil {
		return id, err
	}
	s, err := e.lately(ctx)
	if err != nil {
		return id, err
	}
	if slices.Contains(s.Releases(), id) {
		return id, e.Note(ctx, commit, id) // it was deployed here, so it is there
	}
	_, err = e.cells.Swap(ctx, releaseAt(e.opt.Project, id), "", b)
	if errors.Is(err, store.ErrConflict) {
		// It is there: most likely it goes to a second environment, and its commit is noted.
		return id, e.noteAgain(ctx, commit, id)
	}
	if err != nil { // the answer may have been lost
		_, err = keep(ctx, e.cells, releaseAt(e.opt.Project, id), b)
	}
	if err != nil {
		return id, err
	}
	return id, e.Note(ctx, commit, id)
}

// Release reads a release. One that is not there is an error of kind not-found, one whose bytes are not
// those of its name of kind integrity.
func (e *Environment) Release(ctx context.Context, id ID) (*Release, error) {
	return readRelease(ctx, e.cells, e.opt.Project, id)
}

func readRelease(ctx context.Context, cells store.Cells, project string, id ID) (*Release, error) {
	at := releaseAt(project, id)
	b, _, err := cells.Load(ctx, at)
	if errors.Is(err, store.ErrNotFound) {
		return nil, diag.New(diag.NotFound, "there is no release %s", id.Short()).At(at).Hinted("pipe env history ENV lists the releases that were deployed")
	}
	if err != nil {
		return nil, err
	}
	if n := canon.Schema(b); n > ReleaseSchema {
		return nil, diag.Newer("release "+id.Short(), n).At(at)
	}
	r := &Release{}
	if err = canon.Unmarshal(b, r); err == nil {
		err = r.check(id, b)
	}
	switch {
	case err != nil:
		return nil, diag.New(diag.Integrity, "cannot read release %s: %w", id.Short(), err).At(at).Hinted("inspect the object; pipe deploy makes a new release")
	case project != "" && r.Project != project: // a workspace's own states are its project's, whatever its name is
		return nil, diag.New(diag.Policy, "release %s belongs to project %q, not to %q", id.Short(), r.Project, project).At(at)
	}
	for _, feature := range r.Requires {
		if feature != needsNames {
			return nil, diag.Unknown("release "+id.Short(), fmt.Sprintf("%q", feature)).At(at)
		}
	}
	return r, nil
}

// check holds what canonical JSON alone does not say.
func (r *Release) check(id ID, b []byte) error {
	if ID(digest.Of(b)) != id {
		return fmt.Errorf("%w: its bytes are not those of its name", store.ErrCorrupt)
	}
	if r.Schema != ReleaseSchema {
		return fmt.Errorf("the schema is not %d", ReleaseSchema)
	}
	for name, p := range r.Stages {
		if !artifact.IsStageName(name) {
			return fmt.Errorf("%q is not a valid stage name", name)
		}
		if err := p.check(r, name); err != nil {
			return fmt.Errorf("stage %s: %w", name, err)
		}
	}
	if len(r.Names()) != len(r.Stages) {
		return errors.New("two stages need each other, directly or through others")
	}
	return nil
}

func (p *Part) check(r *Release, name string) error {
	if len(p.Cmd) == 0 || p.Closure.IsZero() {
		return errors.New("it lacks a command or a closure")
	}
	if p.Wdir != repopath.Root {
		if _, err := repopath.Parse(string(p.Wdir)); err != nil {
			return fmt.Errorf("wdir: %w", err)
		}
	}
	for _, n := range p.Needs {
		if _, ok := r.Stages[n]; !ok || n == name {
			return fmt.Errorf("it needs %s, which the release does not have", n)
		}
	}
	return checkParts(p.Dir, p.Deps, p.Asked, p.Artifacts)
}
