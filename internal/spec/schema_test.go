package spec

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/yamldoc"
)

// compiled returns the schema, after it has been held against the schema of schemas.
func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("pipe.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("pipe.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fits validates a pipe.yaml as an editor does: with the types of YAML 1.2.
func fits(t *testing.T, s *jsonschema.Schema, text []byte) error {
	t.Helper()
	root, err := yamldoc.Parse(FileName, text, yamldoc.Options{})
	if root == nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(asJSON(root)))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(value)
}

// asJSON is a value in JSON. What stands without quotes is a number where JSON knows it as one.
func asJSON(n *yamldoc.Node) string {
	var parts []string
	switch n.Kind {
	case yamldoc.Null:
		return "null"
	case yamldoc.Bool:
		return strings.ToLower(n.Value)
	case yamldoc.Source, yamldoc.Number:
		if json.Valid([]byte(n.Value)) {
			return n.Value
		}
	case yamldoc.List:
		for _, it := range n.Items {
			parts = append(parts, asJSON(it))
		}
		return "[" + strings.Join(parts, ",") + "]"
	case yamldoc.Map:
		for _, p := range n.Pairs {
			parts = append(parts, yamldoc.Quote(p.Key)+":"+asJSON(p.Value))
		}
		return "{" + strings.Join(parts, ",") + "}"
	}
	return yamldoc.Quote(n.Value)
}

func TestEveryGoodFileFitsTheSchema(t *testing.T) {
	s := compiled(t)
	count := 0
	check := func(name string, text []byte) {
		if _, err := Parse(FileName, text); err != nil {
			return // of another kind, or a part of a file
		}
		count++
		if err := fits(t, s, text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, dir := range []string{"../../examples", "testdata", "../starter/testdata", "../../testdata", "../../cmd/pipe/testdata"} {
		if err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := os.ReadFile(path)
			switch filepath.Ext(path) {
			case ".yaml":
				check(path, text)
			case ".txtar":
				for name, part := range projects(string(text)) {
					check(path+" "+name, []byte(part))
				}
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range strings.Split(string(readme), "\n```yaml\n")[1:] {
		text, _, _ := strings.Cut(block, "\n```\n")
		check("README.md", []byte(text))
		check("README.md", []byte(text+"\nstages: {}\n"))
	}
	if count < 100 {
		t.Errorf("only %d files", count)
	}
}

// projects returns the YAML files of a script.
func projects(script string) map[string]string {
	all := map[string]string{}
	for i, part := range strings.Split("\n"+script, "\n-- ") {
		name, text, found := strings.Cut(part, " --\n")
		if i > 0 && found && strings.HasSuffix(name, ".yaml") {
			all[name] = text + "\n"
		}
	}
	return all
}

// beyond are the files whose faults no schema can know, with the reason.
var beyond = map[string]string{
	"bad-graph.yaml": "it is about outputs of several stages at one place, and about cycles",
}

func TestEveryBadFileIsRefusedByTheSchemaOrSaysWhyNot(t *testing.T) {
	s := compiled(t)
	files, err := filepath.Glob("testdata/bad-*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		why, known := beyond[filepath.Base(f)]
		switch err := fits(t, s, text); {
		case err == nil && !known:
			t.Errorf("%s fits the schema", f)
		case err != nil && known:
			t.Errorf("%s does not fit the schema, and yet it is beyond it because %s", f, why)
		}
	}
}

func TestTheSchemaKnowsTheFormsOfEachKey(t *testing.T) {
	s := compiled(t)
	const stage = "stages: {a: {cmd: x, %}}"
	for _, c := range []struct {
		in, good, bad string // separated by |
	}{
		{"stages: {a: %}", "{cmd: [a, b]}|{cmd: 1}|{foreach: [a], do: {cmd: x}}|{foreach: {a: 1}, do: {cmd: x}}|{foreach: \"${a}\", do: {cmd: x}}|{matrix: {a: [1], b: \"${c}\"}, cmd: x}", "{}|x|{cmd: }|{cmd: []}|{cmd: {a: b}}|{foreach: [a]}|{foreach: a, do: {cmd: x}}|{foreach: [a], do: {foreach: [b], do: {cmd: x}}}|{foreach: [a], do: {}}|{foreach: [a], do: {cmd: x}, desc: y}|{cmd: x, do: {cmd: x}}|{matrix: [a], cmd: x}"},
		{stage, "frozen: true|frozen: \"${x}\"|timeout: 1h30m|timeout: 90|timeout: 1.5s|retries: 2|when: a == b|desc: \"\"|meta: {a: [b]}|workdir: repo|shell: bash|shell: \"${sh}\"", "frozen: yes|frozen: \"true\"|timeout: 0|timeout: soon|timeout: -1s|retries: -1|when: [a]|desc: [a]|workdir: tmp|shell: zsh|dep: [a]"},
		{stage, "deps: [a, \"*.go\", \"!b\", {path: x, push: false}, {cmd: go version}, {url: \"https://x/y\"}, {image: alpine}]|deps: \"${deps}\"|deps: []", "deps: a|deps: {a: b}|deps: [/a]|deps: [~]|deps: [{push: true}]|deps: [{cmd: x, path: y}]|deps: [{url: x, image: y}]|deps: [{paht: x}]"},
		{stage, "outs: [a, {path: a, cache: false}, {a: {push: false}}, {b: }, \"${out}\", \"a/${out}.zip\"]", "outs: [\"*.zip\"]|outs: [{path: a, cash: false}]|outs: [{a: {}, b: {}}]|outs: [{}]|outs: [[a]]|outs: [/a]"},
		{stage, "metrics: [a, {b: {cache: false}}], plots: [c, {d: {x: a, y: [b, c]}}, {e: [{title: f}]}]", "metrics: a|metrics: [{b: {x: a}}]|plots: [{c: {z: a}}]|plots: [\"*\"]"},
		{stage, "params: [a, {p.yaml: [b]}, {P.JSON: }, {\"${file}\": [a]}]", "params: [{p.ini: [a]}]|params: [{p.yaml: a}]|params: [~]|params: [{}]"},
		{stage, "env: [A, {B: 1, C: \"\"}, {D: {secret: true}}]", "env: [1A]|env: [PIPE_X]|env: [A=b]|env: [{A: }]|env: [{A: {secret: maybe}}]|env: {A: b}"},
		{stage, "vars: {a: 1}|vars: [a.yaml, \"b.yaml:c,d\", {e: f}]|env_file: .env|env_file: [.env, {path: b, optional: true}]|pass_env: [A, \"B_*\"]", "vars: a|env_file: {optional: true}|env_file: [{path: b, optional: yes}]|pass_env: A|pass_env: [1A]|pass_env: [PIPE_*]"},
		{stage, "verify: ./t|verify: {cmd: ./t, retries: 3, every: 5s}", "verify: {}|verify: {cmd: t, every: 0s}|verify: [a]|verify: {cmd: t, retries: many}"},
		{"{stages: {}, %}", "include: [a, b/c.yaml]|metrics: [params.yaml]|vars: [a.yaml]|env_mode: loose|inputs: [a/, {path: \"[x]\"}]|deploy_on: 1.2|limits: {a: 1}|lock: {commit: pr}|remote: /a|remote: {a: s3://b, c: {url: s3://d, sse: aws:kms, sse_kms_key_id: k}}", "include: a|metrics: a|metrics: [a/]|metrics: [\"*.json\"]|env_mode: lose|inputs: a|inputs: [\"*.csv\"]|deploy_on: a b|deploy_on: refs/heads/a|limits: {a: 0}|limits: {a.lock: 1}|lock: push|remote: {}|remote: {url: s3://b}|remote: {a: {region: x}}|remote: {a: {url: x, sse_kms_key_id: k}}|project: A"},
		{"{stages: {}, environments: {a: {%}}}", "auto: true|auto: main|from: b|from: [b, c]|pin: a/b|approve: ci|approve: {signers: a, count: 2}|queue: all|env: {A: 1}|each: a.yaml", "auto: yes|auto: \"true\"|from: []|from: [b, b]|pin: a/|approve: yes|approve: {}|approve: {signers: a, count: 0}|queue: oldest|env: [A]|env: {A: }|form: b"},
		{"{stages: {}, environments: {%: {}}}", "a|\"pr-*\"", "A|\"a**\"|a.lock"},
		{"{stages: {%: {cmd: x}}}", "a|train@1.0|_x", "a/b|-x|\"\"|\"a b\""},
		{"{%}", "stages: {}|inputs: []|include: [a]", "project: a|stages: |stages: []"},
	} {
		for i, list := range []string{c.good, c.bad} {
			for _, form := range strings.Split(list, "|") {
				text := strings.Replace(c.in, "%", form, 1)
				if err := fits(t, s, []byte(text)); (err != nil) != (i == 1) {
					t.Errorf("%s: %v", text, err)
				}
			}
		}
	}
}

// maps of pipe.yaml: where a key that nobody knows is put, and where the schema has its keys.
var keyed = []struct {
	text, at string
}{
	{"stages: {}\nQQ: 1\n", ""},
	{"stages: {a: {cmd: x, QQ: 1}}\n", "stage"},
	{"stages: {a: {cmd: x, outs: [{path: a, QQ: 1}]}}\n", "out"},
	{"stages: {a: {cmd: x, deps: [{path: a, QQ: 1}]}}\n", "dep"},
	{"stages: {a: {cmd: x, env: [{A: {QQ: 1}}]}}\n", "env"},
	{"stages: {a: {cmd: x, verify: {cmd: x, QQ: 1}}}\n", "verify"},
	{"inputs: [{path: a, QQ: 1}]\n", "input"},
	{"stages: {}\nremote: {a: {url: /x, QQ: 1}}\n", "remote"},
	{"stages: {}\nsources: {a: {git: x, QQ: 1}}\n", "source"},
	{"stages: {}\nlock: {QQ: 1}\n", "properties/lock"},
	{"stages: {}\nenvironments: {a: {QQ: 1}}\n", "environment"},
	{"stages: {}\nenvironments: {a: {approve: {signers: x, QQ: 1}}}\n", "definitions/environment/properties/approve"},
}

func TestTheSchemaHasTheKeysThatTheReadersTake(t *testing.T) {
	var root map[string]any
	if err := json.Unmarshal(Schema(), &root); err != nil {
		t.Fatal(err)
	}
	for _, k := range keyed {
		schema := any(root)
		path := k.at
		if path != "" && !strings.Contains(path, "/") {
			path = "definitions/" + path
		}
		for _, step := range strings.Split(path, "/") {
			if step != "" {
				schema = schema.(map[string]any)[step]
			}
		}
		found := map[string]bool{}
		collect(schema, found)
		got := slices.Sorted(maps.Keys(found))
		if want := taken(t, k.text); !slices.Equal(got, want) {
			t.Errorf("%s: the schema has %s, and the reader takes %s", k.at, got, want)
		}
	}
}

// taken returns the keys that a reader takes where it finds the key QQ, as its error says them.
func taken(t *testing.T, text string) []string {
	t.Helper()
	_, err := Parse(FileName, []byte(text))
	var list diag.List
	if errors.As(err, &list) {
		for _, e := range list {
			if all, ok := strings.CutPrefix(e.Hint, "known keys: "); ok {
				return strings.Split(all, ", ")
			}
		}
	}
	t.Fatalf("%s: %v", text, err)
	return nil
}

// collect adds the keys of a map, in all the forms that it may have, but not those of its values.
func collect(schema any, into map[string]bool) {
	m, _ := schema.(map[string]any)
	properties, _ := m["properties"].(map[string]any)
	for key := range properties {
		into[key] = true
	}
	for _, form := range []string{"anyOf", "allOf"} {
		list, _ := m[form].([]any)
		for _, s := range list {
			collect(s, into)
		}
	}
	if m["propertyNames"] != nil {
		collect(m["additionalProperties"], into) // DVC's {PATH: {options}}, and {NAME: {secret: true}}
	}
}

// TestEveryKeyOfTheSchemaIsDescribed: the description is what an editor shows.
func TestEveryKeyOfTheSchemaIsDescribed(t *testing.T) {
	var root any
	if err := json.Unmarshal(Schema(), &root); err != nil {
		t.Fatal(err)
	}
	count := 0
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case []any:
			for _, it := range v {
				walk(path, it)
			}
		case map[string]any:
			properties, _ := v["properties"].(map[string]any)
			for key, p := range properties {
				count++
				text, _ := p.(map[string]any)["description"].(string)
				if !strings.HasSuffix(text, ".") || strings.ContainsAny(text, "\n\t") {
					t.Errorf("%s/%s: %q is no description", path, key, text)
				}
			}
			for key, it := range v {
				walk(path+"/"+key, it)
			}
		}
	}
	walk("", root)
	if count < 60 {
		t.Errorf("%d keys", count)
	}
}
