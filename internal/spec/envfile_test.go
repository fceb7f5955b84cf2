package spec

import (
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// process is an environment with HOST alone.
func process(name string) (string, bool) { return "outer", name == "HOST" }

// variablesOf describes the variables of a stage: NAME<value, NAME! for one that counts as a secret, and +NAME for one
// beside the key.
func variablesOf(s *Stage) string {
	var all []string
	for _, e := range s.Env {
		text := e.Name
		if e.Secret == IsSecret {
			text += "!"
		}
		if e.Literal {
			text += "=" + e.Value
		}
		if e.File != nil {
			text += "<" + e.File.Value
		}
		all = append(all, text)
	}
	for _, v := range s.Passed {
		all = append(all, "+"+v.Name)
	}
	return strings.Join(all, " ")
}

func TestTheVariablesOfFilesAreThoseOfStages(t *testing.T) {
	p := parseGood(t, `
env_file: .env
inputs: [data.csv]
stages:
  plain: {cmd: x, outs: [a]}
  own: {cmd: x, outs: [b], wdir: sub, env_file: [more.env, {path: none.env, optional: true}]}
  says: {cmd: x, check: true, env: [B, {TOKEN: {secret: true}}, {A: literal}], pass_env: ["N*", TOKENX]}
  live: {cmd: x, deploy: true}
`)
	before := fmt.Sprintf("%+v", p)
	full, faults := p.WithEnv(files(map[string]string{".env": "B=2\nA=1\nTOKEN=t\nNOISE=n", "sub/more.env": "A=3\nC=$B-$HOST-$A"}), process)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	for name, want := range map[string]string{
		"plain":          "A<1 B<2 NOISE<n TOKEN<t",
		"own":            "A<3 B<2 C<2-outer-3 NOISE<n TOKEN<t",
		"says":           "A=literal<1 B<2 TOKEN!<t +NOISE",
		"live":           "A<1 B<2 NOISE<n TOKEN<t",
		"input:data.csv": "",
	} {
		if got := variablesOf(full.Stage(name)); got != want {
			t.Errorf("%s: %s, not %s", name, got, want)
		}
	}
	if len(full.Shared) != 4 || before != fmt.Sprintf("%+v", p) {
		t.Errorf("%v, or the project that was parsed has changed", full.Shared)
	}
	var names []string
	for _, e := range full.LookSecret() {
		names = append(names, e.Place+" "+e.Name)
	}
	if !slices.Equal(names, []string{".env:3:1 TOKEN"}) {
		t.Errorf("look like secrets: %q", names)
	}
}

func TestFaultsOfEnvFilesAreThoseOfTheStagesThatNameThem(t *testing.T) {
	p := parseGood(t, `
stages:
  ok: {cmd: x, outs: [a], env_file: a.env}
  gone: {cmd: x, outs: [b], env_file: [a.env, gone.env]}
  bad: {cmd: x, outs: [c], env_file: [bad.env]}
  denied: {cmd: x, outs: [d], env_file: [{path: denied.env, optional: true}]}
`)
	read := func(p repopath.Path) ([]byte, error) {
		if p == "denied.env" {
			return nil, &fs.PathError{Op: "open", Path: "/home/ann/shop/denied.env", Err: errors.New("permission denied")}
		}
		return files(map[string]string{"a.env": "A=1", "bad.env": "PIPE_A=1\nx"})(p)
	}
	full, faults := p.WithEnv(read, process)
	got := map[string]string{}
	for name, err := range faults {
		for _, e := range diag.All(err) {
			got[name] += e.Error() + "; "
			if e.Kind != diag.Usage {
				t.Errorf("%v has kind %s", e, e.Kind)
			}
		}
	}
	want := map[string]string{
		"gone":   "pipe.yaml:4:47: env_file gone.env does not exist; ",
		"bad":    "bad.env:2:1: must be NAME=VALUE; bad.env:1:1: PIPE_A: names that start with PIPE_ are reserved for pipe; ",
		"denied": "pipe.yaml:6:49: env_file denied.env: permission denied; ",
	}
	if !reflect.DeepEqual(got, want) || variablesOf(full.Stage("ok")) != "A<1" {
		t.Errorf("got %q", got)
	}
}

func TestPassEnvLetsNamesAndPatternsThrough(t *testing.T) {
	s := &Stage{PassEnv: []string{"*_ID", "AWS_*", "CI", "X*Y*Z"}, Env: []Env{{Name: "AWS_REGION"}}}
	for name, want := range map[string]bool{
		"CI": true, "CI_X": false, "ci": false, "AWS_": true, "AWS_KEY": true, "AWS": false, "MY_AWS_X": false, "AWS_REGION": false,
		"A_ID": true, "PIPE_ID": false, "XYZ": true, "X1Y2Z": true, "XZ": false, "": false,
	} {
		if got := s.Passes(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if (&Stage{PassEnv: []string{"*"}}).Passes("PIPE_HASH_X") || (&Stage{}).Passes("A") {
		t.Error("more than was said")
	}
}
