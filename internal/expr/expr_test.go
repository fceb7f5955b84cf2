package expr

import (
	"errors"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/template"
	"github.com/pipe-build/pipe/internal/yamldoc"
)

// vars are what the conditions of the tests may name.
const vars = `
n: 3
f: 0.10
tiny: 1e-400
s: main
version: "1.10"
date: 2026-01-31
hex: 0x10
octal: 010
yes: yes
on: true
loud: TRUE
none: null
list: [a, b]
mixed: [1, a]
maps: {a: {b: [10, 20]}, "odd key": 1, 0: zero}
branch: a variable
train-size: 5
`

func names(t interface {
	Helper()
	Fatal(args ...any)
},
) Names {
	t.Helper()
	root, err := yamldoc.Parse("vars", []byte(vars), yamldoc.Options{})
	if err != nil {
		t.Fatal(err)
	}
	own := map[string]template.Value{}
	for _, p := range root.Pairs {
		own[p.Key] = template.Value{Node: p.Value}
	}
	params := func() (*yamldoc.Node, error) {
		return yamldoc.Parse("params", []byte("lr: 0.5\nlayers: [8, 16]"), yamldoc.Options{})
	}
	return Names{Vars: (*template.Scope)(nil).With(own), Params: params}
}

var errAsked = errors.New("not known yet")

func world() World {
	env := map[string]string{"CI": "true", "EMPTY": ""}
	return World{
		Env:    func(name string) (string, bool) { v, ok := env[name]; return v, ok },
		Branch: func() string { return "main" },
		Changed: func(name string) (bool, error) {
			if name == "later" {
				return false, errAsked
			}
			return name == "build" || name == "train@main", nil
		},
	}
}

// eval parses, binds and evaluates a condition.
func eval(t testing.TB, text string) (bool, error) {
	t.Helper()
	e, err := Parse(text)
	if err != nil {
		return false, err
	}
	if faults := e.Bind(names(t)); len(faults) > 0 {
		return false, faults[0]
	}
	return e.Eval(world())
}

func TestConditions(t *testing.T) {
	for text, want := range map[string]bool{
		"true": true, "not true": false, "not not true": true, "on": true, "(on)": true, "\n  on\n": true,
		"true or false and false": true, "(true or false) and false": false, "not false and false": false, "not (false and false)": true, "not n == 4": true,
		"n == 3": true, "n != 3": false, "n < 3": false, "n <= 3": true, "n > -1": true, "n >= 3.000": true, "n == 30e-1": true, "f == 0.1": true, "tiny > 0": true,
		"9007199254740993 > 9007199254740992": true, "0.1 < 0.10000000000000000001": true, "-2 < -1": true, "-1 < 0": true, "0 == -0": true, "1e400 > 1e399": true, "100 > 20": true,
		"s == 'main'": true, `s == "main"`: true, "s < 'maine'": true, "'B' < 'a'": true, "version == '1.10'": true, "version == '1.1'": false, "date > '2025-12-31'": true, "hex == '0x10'": true,
		"octal == '010'": true, "yes == 'yes'": true, "none == null": true, "s != null": true, "list != null": true, "null == 1": false, "'it''s' == \"it's\"": true, `'C:\x' == "C:\x"`: true,
		"s in ['dev', 'main']": true, "s not in ['dev']": true, "n in [1, 2, 3]": true, "'a' in list": true, "'ai' in s": true, "'z' in s": false, "'a' in maps": true, "'z' not in maps": true, "null in ['a', null]": true,
		"'x' in []": false, "branch not in [null]": true, "maps.a.b[1] == 20": true, "maps['odd key'] == 1": true, "maps.0 == 'zero'": true, "train-size == 5": true, "${n} == 3": true, "${ maps.a.b[0] } == 10": true,
		"branch == 'main'": true, "${branch} == 'a variable'": true, "'release-${n}' == 'release-3'": true, `'\${n}' == "\${n}"`: true, `'\${n}' == '3'`: false, "'${f}' == '0.10'": true, "'${on}' == 'true'": true, "'${loud}' == 'true'": true,
		"env.CI == 'true'": true, "env.CI != null": true, "env.NONE == null": true, "env.EMPTY == ''": true, "env.EMPTY != null": true, "env.NONE != null and env.NONE > 'a'": false, "env.CI == null or env.CI == 'true'": true,
		"params.lr > 0.1": true, "params.layers[1] == 16": true, "8 in params.layers": true,
		"changed(build)": true, "changed( 'build' )": true, "not changed(lint)": true, "changed(train@${s})": true, `changed("train@${s}")`: true, "changed(services/api/build)": false, "not changed(t@a=1,b+2)": true,
		"true or changed(later)": true, "false and changed(later)": false,
	} {
		got, err := eval(t, text)
		if err != nil || got != want {
			t.Errorf("%s is %v, %v", text, got, err)
		}
	}
}

func TestWhatAConditionCannotAnswerIsAnError(t *testing.T) {
	for text, want := range map[string]string{
		"env.CI == 'true' and env.NONE > 'a'":  "31: cannot compare env.NONE (null) with 'a' (a string) by >",
		"env.NONE in 'abc'":                    "10: env.NONE (null) cannot be in 'abc' (a string)",
		"branch in [env.NONE, n]":              "8: cannot look for branch (null or a string) in [env.NONE, n]: it has a number in it",
		"(branch == 'x') == env.CI":            "17: cannot compare branch == 'x' (a boolean) with env.CI (null or a string)",
		"env.EMPTY < 3":                        "11: cannot compare env.EMPTY (null or a string) with 3 (a number) by <",
		"n == '3'":                             "3: cannot compare n (a number) with '3' (a string)",
		"s in mixed":                           "3: cannot look for s (a string) in mixed: it has a number in it",
		"list == ['a', 'b']":                   "6: cannot compare list (a list) with ['a', 'b'] (a list)",
		"'${list}' == 'a'":                     "2: list is a list, which cannot be part of a text",
		"'ä' == 'ä' and nn == 3":               `16: no variable named "nn"`,
		"true or s":                            "9: s must be true or false, not a string",
		"true or 's' in mixed":                 "13: cannot look for 's' (a string) in mixed: it has a number in it",
		"'${none}' == ''":                      "2: none is null, which ",
		"1 < n < 3":                            "7: a comparison has two sides",
		"not s":                                "5: s must be true or false, not a string",
		"s":                                    "1: s is a string; a condition must be true or false",
		"env.CI":                               "1: env.CI is null or a string; a condition must be true or false",
		"changed(build) == 'x'":                "16: cannot compare changed('build') (a boolean) with 'x' (a string)",
		"[s] == null and [(1 == 's')] != null": "21: cannot compare 1",
		"changed(later)":                       "not known yet",
		"a.b.":                                 "5: a name is missing after the dot",
		strings.Repeat("(", 101) + "a":         "101: the condition is nested too deeply",
		strings.Repeat("not ", 101) + "a":      "405: the condition is nested too deeply",
		"s == '" + strings.Repeat("x", 10_000): "1: the condition is too long: 10006 bytes, more than 10000",
		strings.Repeat("[", 101):               "101: the condition is nested too deeply",
	} {
		_, err := eval(t, text)
		if err == nil {
			t.Errorf("%s: no error", text)
			continue
		}
		got := err.Error()
		if e := (*Error)(nil); errors.As(err, &e) {
			got = strings.TrimSpace(strings.Join([]string{itoa(e.Col), e.What}, ": "))
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("%.60s: got %s, want %s", text, got, want)
		}
	}
}

func TestWithoutABranchThereIsNone(t *testing.T) {
	for text, want := range map[string]bool{"branch == null": true, "branch == ''": false, "branch != 'main'": true, "branch in [null]": true} {
		e, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		w := world()
		w.Branch = func() string { return "" }
		if got, err := e.Eval(w); err != nil || got != want {
			t.Errorf("%s is %v, %v", text, got, err)
		}
	}
}

func TestStagesAreThoseOfAllBranches(t *testing.T) {
	e, err := Parse("true or changed(b) and changed('a') or changed(b) or changed(x@${n})")
	if err != nil {
		t.Fatal(err)
	}
	if faults := e.Bind(names(t)); len(faults) > 0 {
		t.Fatal(faults[0])
	}
	if got := strings.Join(e.Stages(), " "); got != "a b x@3" {
		t.Errorf("got %s", got)
	}
}

func TestAllFaultsComeAtOnce(t *testing.T) {
	e, err := Parse("nix == 1 and nada == 2 and '${nope}' == s and params.nil == 3")
	if err != nil {
		t.Fatal(err)
	}
	if faults := e.Bind(names(t)); len(faults) != 4 {
		t.Errorf("got %v", faults)
	}
	if faults := e.Bind(Names{}); len(faults) != 5 {
		t.Errorf("got %v", faults)
	}
}
