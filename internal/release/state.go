package release

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/canon"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/lease"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Schema is the number of the state's form that this version reads and writes.
// Schema 1 was never released: programs that know it keep members that they do
// not understand, and would deploy over a hold.
const Schema = 2

// State is one environment, all that is mutable in a project: canonical JSON in
// one cell. FORMAT.md describes it. Members that this version does not know are
// kept when it is written.
type State struct {
	Schema   int              `json:"schema"`
	Project  string           `json:"project,omitempty"`  // empty in a workspace's own state
	Env      string           `json:"env,omitempty"`      // its name
	Seq      uint64           `json:"seq"`                // grows with every write
	Requires []string         `json:"requires,omitempty"` // what a writer must understand
	Epoch    uint64           `json:"epoch,omitempty"`    // grows whenever somebody takes the lease, or takes it away
	N        uint64           `json:"n,omitempty"`        // number of the newest deployment
	Probed   string           `json:"probed,omitempty"`   // the day on which the store last proved that it honours conditional writes
	Lease    *lease.Lease     `json:"lease,omitempty"`    // of the deployment that goes on
	Doing    string           `json:"doing,omitempty"`    // its kind; empty: deploy
	Next     []Waiting        `json:"next,omitempty"`     // who waits for it to end, the first one first
	Hold     *Hold            `json:"hold,omitempty"`
	Guard    digest.Digest    `json:"guard,omitzero"`     // of the rules that the next deployment must keep
	Asked    []digest.Digest  `json:"asked,omitempty"`    // plans that wait for an approval, the newest last
	Live     ID               `json:"live,omitzero"`      // the release of which every stage is live; zero: of none
	Verified []ID             `json:"verified,omitempty"` // releases that were live and worked, the newest first
	Head     *Head            `json:"head,omitempty"`     // the newest commit for which all was live already
	Stages   map[string]Stage `json:"stages"`
	Last     *Entry           `json:"last,omitempty"`   // the newest deployment that has ended
	Logged   uint64           `json:"logged,omitempty"` // the newest one that is known to be in the history

	absent bool // nobody has written it
	rest   map[string]json.RawMessage
}

// Waiting is a run that waits for an environment.
type Waiting struct {
	lease.Lease
	Commit    string    `json:"commit,omitempty"`
	Committed time.Time `json:"committed,omitzero"`
	Automatic bool      `json:"automatic,omitempty"`
}

// Head is a commit for which there was nothing to deploy, because it makes the release that was live.
type Head struct {
	Commit    string    `json:"commit"`
	Committed time.Time `json:"committed,omitzero"` // when, by the committer's clock
	Release   ID        `json:"release,omitzero"`   // that was live
	Of        string    `json:"of,omitempty"`       // the commit before it, where only pipe.lock differs: no older commit
}

// Hold keeps automatic deployments away.
type Hold struct {
	By     string    `json:"by,omitempty"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason,omitempty"`
	Until  string    `json:"until"`          // resume: nothing comes; next: the releases of Veto do not come
	Veto   []ID      `json:"veto,omitempty"` // releases that were rolled away from
}

// The values of Hold.Until.
const (
	UntilResume = "resume"
	UntilNext   = "next"
)

// vetoes reports whether the hold keeps a release away from those who deploy on their own.
func (h *Hold) vetoes(id ID) bool { return h != nil && slices.Contains(h.Veto, id) }

// Stage is a deploy stage in an environment.
type Stage struct {
	Status         string            `json:"status"` // ok, failed, deploying, unknown
	Key            digest.Key        `json:"key"`
	Was            digest.Key        `json:"was,omitzero"`     // the version before this one
	Release        ID                `json:"release,omitzero"` // that it belongs to
	N              uint64            `json:"n,omitempty"`      // number of the deployment
	By             string            `json:"by,omitempty"`
	At             time.Time         `json:"at"`
	Commit         string            `json:"commit,omitempty"`
	Committed      time.Time         `json:"committed,omitzero"` // when, by the committer's clock
	Dirty          bool              `json:"dirty,omitempty"`    // inputs were not as in the commit
	Override       bool              `json:"override,omitempty"` // it was made of other sources than the commit's
	Values         map[string]string `json:"values,omitempty"`   // of its variables, those that pipe.yaml or --set gave
	Outside        map[string]string `json:"outside,omitempty"`  // hashes of those that came from outside
	Closure        digest.Digest     `json:"closure"`            // tree of all files that the command got
	Size           int64             `json:"size,omitempty"`     // of these files, in bytes
	Files          int64             `json:"files,omitempty"`    // how many there are
	Dir            repopath.Path     `json:"dir,omitempty"`      // of the project in it; empty: the closure has the project alone
	Local          bool              `json:"local,omitempty"`    // the closure is not in the remote: a part of it stays on one machine
	Gone           uint64            `json:"gone,omitempty"`     // deployment since which no release has the stage
	Deps           []artifact.Input  `json:"deps,omitempty"`
	artifact.Asked                   // tools without their lines
	Artifacts      []artifact.Output `json:"artifacts,omitempty"` // stages' outs among them

	rest map[string]json.RawMessage
}

// The members of State and Stage, without their methods.
type (
	stateMembers State
	stageMembers Stage
)

// MarshalJSON implements json.Marshaler: the rest stands beside what is known.
func (s *State) MarshalJSON() ([]byte, error) { return withRest((*stateMembers)(s), s.rest) }

// UnmarshalJSON implements json.Unmarshaler.
func (s *State) UnmarshalJSON(b []byte) (err error) {
	if err = json.Unmarshal(b, (*stateMembers)(s)); err == nil {
		s.rest, err = restOf(b, stateMembers{})
	}
	return err
}

// MarshalJSON implements json.Marshaler: the rest stands beside what is known.
func (s Stage) MarshalJSON() ([]byte, error) { return withRest(stageMembers(s), s.rest) }

// UnmarshalJSON implements json.Unmarshaler.
func (s *Stage) UnmarshalJSON(b []byte) (err error) {
	if err = json.Unmarshal(b, (*stageMembers)(s)); err == nil {
		s.rest, err = restOf(b, stageMembers{})
	}
	return err
}

// restOf returns the members of an object that the struct known has no field for.
func restOf(b []byte, known any) (map[string]json.RawMessage, error) {
	var all map[string]json.RawMessage
	err := json.Unmarshal(b, &all)
	for _, f := range reflect.VisibleFields(reflect.TypeOf(known)) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		delete(all, name)
	}
	return all, err
}

func withRest(known any, rest map[string]json.RawMessage) ([]byte, error) {
	b, err := json.Marshal(known)
	if err != nil {
		return nil, err
	}
	all := maps.Clone(rest)
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, err
	}
	return json.Marshal(all)
}

// parse reads the state that lies in the environment's cell; nil is one that was
// never written.
func (e *Environment) parse(b []byte) (*State, error) {
	s := &State{Schema: Schema, Project: e.opt.Project, Env: e.opt.Name, Stages: map[string]Stage{}}
	if b == nil {
		s.absent = true
		return s, nil
	}
	if err := e.newer(b); err != nil {
		return nil, err
	}
	*s = State{}
	err := canon.Unmarshal(b, s)
	if err == nil {
		err = s.check()
	}
	if err != nil {
		return nil, diag.New(diag.Integrity, "cannot read %s: %w", e.what(), err).At(e.cell()).
			Hinted("inspect and delete the object, then run %s, which deploys again", e.anew())
	}
	if s.Project != e.opt.Project {
		return nil, e.foreign(s)
	}
	if s.Env != "" && s.Env != e.opt.Name {
		return nil, diag.New(diag.Policy, "%s is that of environment %s", e.what(), s.Env).At(e.cell()).
			Hinted("the object was copied here; delete it, then %s deploys again", e.anew())
	}
	s.Env = e.opt.Name
	if s.Last != nil {
		s.Last.raw = canon.Members(b)["last"]
	}
	return s, nil
}

// anew is the command that makes the environment when its state is deleted.
func (e *Environment) anew() string {
	if e.opt.Name == Default {
		return "pipe repro"
	}
	return "pipe repro --env " + e.opt.Name + " --create-env"
}

func (e *Environment) what() string { return "the state of environment " + e.opt.Name }

// newer says that only another version can have written a state, whatever else
// stands in it.
func (e *Environment) newer(b []byte) error {
	switch n := canon.Schema(b); {
	case n > Schema:
		return diag.Newer(e.what(), n).At(e.cell())
	case n > 0 && n < Schema:
		return diag.New(diag.Integrity, "%s has schema %d, which no release of pipe wrote", e.what(), n).At(e.cell()).
			Hinted("delete the object and run %s, which deploys again", e.anew())
	}
	stages := canon.Members(canon.Members(b)["stages"])
	for _, name := range slices.Sorted(maps.Keys(stages)) {
		st := canon.Members(stages[name])
		key, status := canon.Text(st["key"]), canon.Text(st["status"])
		if _, err := digest.ParseKey(key); errors.Is(err, digest.ErrNewer) {
			form, _, _ := strings.Cut(key, ":")
			return diag.Unknown(e.what(), "key "+form).At(e.cell())
		}
		// A status is a promise about the target: taken for another one, it would be
		// deployed over.
		if status != "" && !slices.Contains(statuses[:], status) {
			return diag.Unknown(e.what(), fmt.Sprintf("status %q", status)).At(e.cell())
		}
	}
	return nil
}

// statuses are those that this version knows.
var statuses = [...]string{action.StatusOK, action.StatusFailed, action.StatusDeploying, action.StatusUnknown}

// check holds what canonical JSON alone does not say.
func (s *State) check() error {
	if s.Schema != Schema {
		return fmt.Errorf("the schema is not %d", Schema)
	}
	for _, n := range []uint64{s.Seq, s.Epoch, s.N, s.Logged} {
		if err := checkNumber(n); err != nil {
			return err
		}
	}
	switch {
	case s.Lease != nil && (s.Lease.Nonce == "" || s.Lease.TTL <= 0):
		return errors.New("the lease lacks a nonce or a time to live")
	case s.Last != nil && s.Last.N > s.N, s.Logged > s.N:
		return errors.New("it names a deployment that has not begun")
	case s.Last != nil && (s.Last.N == 0 || s.Last.Schema != EntrySchema):
		return errors.New("the newest deployment has no number or another form")
	case s.Hold != nil && s.Hold.Until != UntilResume && s.Hold.Until != UntilNext:
		return errors.New("the hold does not say until when")
	}
	for name, st := range s.Stages {
		if !artifact.IsStageName(name) {
			return fmt.Errorf("%q is not a valid stage name", name)
		}
		if err := st.check(); err != nil {
			return fmt.Errorf("stage %s: %w", name, err)
		}
	}
	return nil
}

func (s *Stage) check() error {
	_, east := s.At.Zone()
	switch {
	case s.Status == "" || s.Key.IsZero():
		return errors.New("it lacks a status or a key")
	case east != 0 || s.At.Nanosecond() != 0:
		return errors.New("the time is not in UTC and whole seconds")
	}
	return checkParts(s.Dir, s.Deps, s.Asked, s.Artifacts)
}

// checkParts checks what a state and a release both say of a stage.
func checkParts(dir repopath.Path, deps []artifact.Input, asked artifact.Asked, artifacts []artifact.Output) error {
	if dir != "" {
		if _, err := repopath.Parse(string(dir)); err != nil {
			return fmt.Errorf("dir: %w", err)
		}
	}
	for _, in := range deps {
		if err := in.Check(); err != nil {
			return err
		}
	}
	if err := asked.Check(); err != nil {
		return err
	}
	for _, o := range artifacts {
		if err := o.Check(); err != nil {
			return err
		}
	}
	return nil
}

// foreign refuses a state that was copied or moved here from another project.
func (e *Environment) foreign(s *State) error {
	named := func(project string) string {
		if project == "" {
			return "no project"
		}
		return "project " + project
	}
	return diag.New(diag.Policy, "environment %s belongs to %s, not to %s", e.opt.Name, named(s.Project), named(e.opt.Project)).
		At(e.cell()).Hinted("correct project: in pipe.yaml, or use another prefix in the remote")
}

// writable refuses to change what this version does not understand, or cannot
// count on. There is no feature yet, so whatever is required is unknown.
func (e *Environment) writable(s *State) error {
	if len(s.Requires) > 0 {
		return diag.New(diag.Policy, "%s was written by a newer pipe: it needs %q", e.what(), s.Requires[0]).
			At(e.cell()).Hinted("install a newer pipe to deploy; this one can only read the state")
	}
	if n := max(s.Seq, s.Epoch, s.N); n >= artifact.MaxNumber {
		// The next number would be no number, or one that the state has had.
		return diag.New(diag.Policy, "%s cannot be changed: one of its numbers is %d, the largest possible", e.what(), n).
			At(e.cell()).Hinted("delete the object, then run %s, which deploys again", e.anew())
	}
	return nil
}

func (s *State) encode() ([]byte, error) {
	b, err := canon.Marshal(s)
	if err == nil && len(b) > store.MaxSmall {
		return nil, fmt.Errorf("the state of environment %s would be larger than %d MiB", s.Env, store.MaxSmall>>20)
	}
	return b, err
}
