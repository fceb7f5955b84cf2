package action

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/pipe-build/pipe/internal/params"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// vectors is where other implementations find the cases, with their inputs.
var vectors = filepath.Join("..", "..", "testdata", "vectors", "key", "key.json")

// vector is one case: a definition with its inputs, and the key.
type vector struct {
	Name  string     `json:"name"`
	Stage stageInput `json:"stage"`
	Key   string     `json:"key"`
}

// stageInput has a member for each field of the key.
type stageInput struct {
	AlwaysChanged bool               `json:"always_changed,omitempty"`
	Check         bool               `json:"check,omitempty"`
	Cmd           []string           `json:"cmd,omitempty"`
	Deploy        bool               `json:"deploy,omitempty"`
	Deps          []artifact.Input   `json:"deps,omitempty"`
	Env           []envInput         `json:"env,omitempty"`
	EnvMode       string             `json:"env_mode,omitempty"`
	Excludes      []repopath.Pattern `json:"excludes,omitempty"`
	Input         bool               `json:"input,omitempty"`
	Outs          []outInput         `json:"outs,omitempty"`
	Params        []paramInput       `json:"params,omitempty"`
	Platform      string             `json:"platform,omitempty"`
	Shell         string             `json:"shell"`
	artifact.Asked
	Wdir    repopath.Path `json:"wdir"`
	Workdir string        `json:"workdir,omitempty"`
}

type envInput struct {
	Name   string  `json:"name"`
	Value  *string `json:"value"` // null: not set
	Secret bool    `json:"secret,omitempty"`
}

type paramInput struct {
	File  repopath.Path `json:"file"`
	Key   string        `json:"key"` // empty: the whole file
	Value string        `json:"value"`
}

type outInput struct {
	Path  repopath.Path `json:"path"`
	Cache *bool         `json:"cache,omitempty"`
}

func (v stageInput) key() digest.Key {
	s := &spec.Stage{
		AlwaysChanged: v.AlwaysChanged, Check: v.Check, Cmd: v.Cmd, Deploy: v.Deploy, Excludes: v.Excludes,
		Shell: v.Shell, Wdir: v.Wdir, InRepo: v.Workdir == "repo", Input: v.Input,
	}
	in := Inputs{Deps: v.Deps, Asked: v.Asked, Platform: v.Platform, Loose: v.EnvMode == "loose"}
	for _, e := range v.Env {
		value := EnvValue{Name: e.Name, Secret: e.Secret, Set: e.Value != nil}
		if e.Value != nil {
			value.Value = *e.Value
		}
		in.Env = append(in.Env, value)
	}
	for _, p := range v.Params {
		in.Params = append(in.Params, params.Value(p))
	}
	for _, o := range v.Outs {
		s.Outs = append(s.Outs, spec.Out{Path: o.Path, NoCache: o.Cache != nil && !*o.Cache})
	}
	return KeyOf(s, in)
}

func TestKeysAreTheDocumentedOnes(t *testing.T) {
	b, err := os.ReadFile(vectors)
	if err != nil {
		t.Fatal(err)
	}
	var all []vector
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&all); err != nil || len(all) < 15 {
		t.Fatalf("%d vectors, %v", len(all), err)
	}
	seen := map[string]string{}
	for i := range all {
		v := &all[i]
		got := v.Stage.key().String()
		if *update {
			v.Key = got
		}
		if got != v.Key {
			t.Errorf("%s: key %s, want %s: every project would build everything again", v.Name, got, v.Key)
		}
		if other, dup := seen[v.Key]; dup {
			t.Errorf("%s and %s have one key", other, v.Name)
		}
		seen[v.Key] = v.Name
	}
	if *update {
		b, err := json.MarshalIndent(all, "", "  ")
		if err == nil {
			err = os.WriteFile(vectors, append(b, '\n'), 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestFramingIsTheDocumentedOne builds the bytes of FORMAT.md by hand.
func TestFramingIsTheDocumentedOne(t *testing.T) {
	h := sum("hello\n")
	text := func(s string) string { return string(rune(len(s))) + s } // a varint below 128 is one byte
	raw := text("pipe key 1") +
		text("cmd") + text("\x01"+text("cp a b")) +
		text("deps") + text("\x01"+text("a")+text("")+"\x00"+text(string(h[:]))) +
		text("outs") + text("\x01"+text("b")+"\x00")
	s := &spec.Stage{Cmd: []string{"cp a b\n"}, Shell: "sh", Wdir: ".", Outs: []spec.Out{{Path: "b", Persist: true, NoPush: true}}}
	got := KeyOf(s, Inputs{Deps: []artifact.Input{{Path: "a", Digest: h, Size: 6}}})
	if want := digest.Of([]byte(raw)); got != digest.Key(want) {
		t.Errorf("key %s, want %s", got, want.Hex())
	}
}

// FORMAT.md: shell, working directory, how many scripts, each script.
func TestTheHashOfTheCommandIsTheDocumentedOne(t *testing.T) {
	f := digest.NewFrame("pipe cmd 1")
	f.String("bash")
	f.String("sub")
	f.Uint(2)
	f.String("make")
	f.String("make install")
	if got := CmdDigest(&spec.Stage{Shell: "bash", Wdir: "sub", Cmd: []string{"make\n", "make install"}}); got != digest.Digest(f.Sum()) {
		t.Errorf("%s, want %s", got, f.Sum())
	}
}
