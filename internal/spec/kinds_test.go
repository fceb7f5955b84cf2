package spec

import (
	"strings"
	"testing"
)

// What a template takes counts as if it stood there, whatever file it is from.
func TestAValueCountsAsIfItStoodThere(t *testing.T) {
	p, err := parseFiles(map[string]string{
		FileName: "vars: [v.toml]\nstages:\n  a: {foreach: \"${list}\", do: {cmd: \"x ${item}\", timeout: \"${t}\", env: [{N: \"${n}\"}], outs: [\"${item}\"]}}\n",
		"v.toml": "list = [1, 2]\nt = 90\nn = 1.50\n",
	}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := say(p); got != "a@1: x 1 >1\na@2: x 2 >2\n" || p.Stages[0].Timeout.Seconds() != 90 || p.Stages[0].Env[0].Value != "1.50" {
		t.Errorf("got %s%+v", got, p.Stages[0])
	}
}

func TestTemplatesMakeNoKeyTwice(t *testing.T) {
	_, err := parseFiles(map[string]string{
		FileName: "vars: {f: a.yaml, g: a.yaml}\nstages: {s: {cmd: x, check: true, params: [{\"${f}\": [k], \"${g}\": [l]}]}}\n",
	}, Options{})
	if err == nil || !strings.Contains(err.Error(), `duplicate key "a.yaml"`) {
		t.Errorf("got %v", err)
	}
}

// A script is read for the shell of its stage, and not for that of another stage with the same script.
func TestAScriptIsReadForItsShell(t *testing.T) {
	_, err := parseFiles(map[string]string{
		FileName: "vars: {x: b c, sh: bash}\nstages:\n  a: {cmd: \"printf $'a\\\\n' ${x}\", shell: \"${sh}\", check: true}\n  b: {cmd: \"printf $'a\\\\n' ${x}\", check: true}\n",
	}, Options{})
	if err == nil || strings.Contains(err.Error(), "a: ${x}") || !strings.Contains(err.Error(), "b: ${x}: the value cannot be quoted") {
		t.Errorf("got %v", err)
	}
}

// Who may deploy what stands in pipe.yaml itself; only the values of variables may come from elsewhere.
func TestWhatDecidesAboutDeploymentsIsReadableAsItStands(t *testing.T) {
	text := "vars: {b: main, u: \"https://x\"}\nstages: {d: {cmd: x, deploy: true, env: [URL]}}\nenvironments: {live: {AUTO, env: {URL: \"${u}/a\"}}}\n"
	p, err := parseFiles(map[string]string{FileName: strings.Replace(text, "AUTO", "auto: main", 1)}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if all := p.named().All; len(all) != 1 || len(all[0].Env) != 1 || all[0].Env[0].Value != "https://x/a" {
		t.Errorf("got %+v", all)
	}
	_, err = parseFiles(map[string]string{FileName: strings.Replace(text, "AUTO", "auto: \"${b}\"", 1)}, Options{})
	if err == nil || !strings.Contains(err.Error(), "environment live: auto: ${} is not allowed here: what decides about deployments") {
		t.Errorf("got %v", err)
	}
}
