package release

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"time"

	"github.com/pipe-build/pipe/internal/canon"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
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
	Seq      uint64           `json:"seq"`                // grows with every write
	Requires []string         `json:"requires,omitempty"` // what a writer must understand
	Stages   map[string]Stage `json:"stages"`

	env  string // its name, which stands in the path alone
	rest map[string]json.RawMessage
}

// Stage is a deploy stage in an environment.
type Stage struct {
	Status     string            `json:"status"` // ok, failed, deploying, unknown
	Key        digest.Key        `json:"key"`
	Deployment string            `json:"deployment"` // unlike any other; the command sees it
	By         string            `json:"by,omitempty"`
	At         time.Time         `json:"at"`
	Commit     string            `json:"commit,omitempty"`
	Closure    digest.Digest     `json:"closure"`             // tree of all files that the command got
	Contested  bool              `json:"contested,omitempty"` // another command worked on the target meanwhile
	Deps       []artifact.Input  `json:"deps,omitempty"`
	Artifacts  []artifact.Output `json:"artifacts,omitempty"` // stages' outs among them

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
	for t, i := reflect.TypeOf(known), 0; i < t.NumField(); i++ {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
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

// Env returns the environment's name.
func (s *State) Env() string { return s.env }

// parse reads the state that lies in the environment's cell; nil is one that was
// never written.
func (e *Environment) parse(b []byte) (*State, error) {
	s := &State{Schema: Schema, Project: e.opt.Project, Stages: map[string]Stage{}, env: e.opt.Name}
	if b == nil {
		return s, nil
	}
	what := fmt.Sprintf("the state of environment %s", e.opt.Name)
	switch n := canon.Schema(b); {
	case n > Schema:
		return nil, diag.Newer(what, n).At(e.cell())
	case n > 0 && n < Schema:
		return nil, diag.New(diag.Integrity, "%s has schema %d, which no release of pipe wrote", what, n).At(e.cell()).
			Hinted("delete the object and run pipe repro, which deploys again")
	}
	*s = State{env: e.opt.Name}
	err := canon.Unmarshal(b, s)
	if errors.Is(err, digest.ErrNewer) {
		return nil, diag.New(diag.Policy, "%s was written by a newer pipe: %w", what, err).At(e.cell()).
			Hinted("install a newer pipe (pipe version prints the installed one)")
	}
	if err = errors.Join(err, s.check()); err != nil {
		return nil, diag.New(diag.Integrity, "cannot read %s: %w", what, err).At(e.cell()).
			Hinted("inspect and delete the object, then run pipe repro, which deploys again")
	}
	if s.Project != e.opt.Project {
		return nil, e.foreign(s)
	}
	return s, nil
}

// check holds what canonical JSON alone does not say.
func (s *State) check() error {
	if s.Schema != Schema || s.Stages == nil {
		return errors.New("the schema or the stages are missing")
	}
	for name, st := range s.Stages {
		if !artifact.IsStageName(name) || st.Status == "" || st.Key.IsZero() {
			return fmt.Errorf("stage %q lacks a valid name, a status or a key", name)
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

// writable refuses to change what this version does not understand. There is no
// feature yet, so whatever is required is unknown.
func (e *Environment) writable(s *State) error {
	if len(s.Requires) == 0 {
		return nil
	}
	return diag.New(diag.Policy, "the state of environment %s was written by a newer pipe: it needs %q", e.opt.Name, s.Requires[0]).
		At(e.cell()).Hinted("install a newer pipe to deploy; this one can only read the state")
}

func (s *State) encode() ([]byte, error) {
	b, err := canon.Marshal(s)
	if err == nil && len(b) > store.MaxSmall {
		return nil, fmt.Errorf("the state of environment %s would be larger than %d MiB", s.env, store.MaxSmall>>20)
	}
	return b, err
}
