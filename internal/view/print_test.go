package view_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/event"
)

// acts is what no line of ours may be: a command of GitHub (both forms), Azure or TeamCity.
var acts = regexp.MustCompile(`(?m)^\s*::|##[A-Za-z]*\[`)

// harmless checks that a text cannot act on what shows it.
func harmless(t *testing.T, text string) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Errorf("no UTF-8: %q", text)
	}
	for _, r := range text {
		if r != '\n' && !unicode.IsPrint(r) {
			t.Errorf("%U in %q", r, text)
			return
		}
	}
	if m := acts.FindString(text); m != "" {
		t.Errorf("%q in %q", m, text)
	}
}

// hostile has texts that would do something, and how they are shown.
var hostile = map[string]string{
	"\x1b[31mred\x1b[0m":                  `\x1b[31mred\x1b[0m`,
	"\x1b]0;title\a":                      `\x1b]0;title\a`,
	"over\rwritten":                       `over\rwritten`,
	"two\n::error file=x::lines":          `two\n::error file=x::lines`,
	"\u009b31m":                           `\u009b31m`,
	"\x9b31m":                             `\x9b31m`,
	"del\x7f":                             `del\x7f`,
	"evil\u202etxt.exe":                   `evil\u202etxt.exe`,
	"\u2066isolated\u2069":                `\u2066isolated\u2069`,
	"zero\u200bwidth\ufeff":               `zero\u200bwidth\ufeff`,
	"line\u2028par\u2029nel\u0085":        `line\u2028par\u2029nel\u0085`,
	"tag\U000e0041":                       `tag\U000e0041`,
	"no\u00a0break":                       `no\u00a0break`,
	"::error::x":                          `\x3a:error::x`,
	"  ::set-output name=a::b":            `  \x3a:set-output name=a::b`,
	"\u2003::add-mask::a":                 `\u2003::add-mask::a`,
	"see ##[add-mask]a":                   `see \x23#[add-mask]a`,
	"###[error]a":                         `#\x23#[error]a`,
	"##vso[task.setvariable variable=P]a": `\x23#vso[task.setvariable variable=P]a`,
	"##teamcity[buildStatus text='a']":    `\x23#teamcity[buildStatus text='a']`,
	"a::b":                                "a::b",
	`C:\dir\x`:                            `C:\dir\x`,
	"Grüße, 世界, \U0001f680, e\u0301":      "Grüße, 世界, \U0001f680, e\u0301",
}

func TestWhatComesFromOutsideIsShownAndDoesNothing(t *testing.T) {
	for text, shown := range hostile {
		for _, a := range []any{text, errors.New(text), event.Verb(text), event.Reason{Code: text}, []string{text}} {
			var b bytes.Buffer
			view.Print(&b, "%v\n", a)
			harmless(t, b.String())
			if _, ok := a.([]string); !ok {
				want(t, b.String(), shown+"\n")
			}
		}
	}
}

func TestNoCommandIsMadeOfTwoArguments(t *testing.T) {
	var b bytes.Buffer
	view.Print(&b, "%s%s%s\n  %s%s\n%-5s%d%t%.1f\n", "#", "#", "[error]", ":", ":error::x", "n", 5, true, 1.5)
	want(t, b.String(), "\\x23#[error]\n  \\x3a:error::x\nn    5true1.5\n")
}

// hostileEvents are events of all types whose every text is hostile.
func hostileEvents(text string) []event.Event {
	var all []event.Event
	for _, typ := range []event.Type{event.Decided, event.Started, event.Done, event.Failed, event.Note, event.Moved, event.Summary, "later"} {
		all = append(all, event.Event{
			Type: typ, Stage: text, Verb: event.Verb(text), Because: []event.Reason{{Code: event.DepChanged, Path: text, Old: text, New: text, Note: text}},
			Text: text, Key: text, Outs: outs(1), Exit: 3, Where: text, Counts: &event.Counts{},
		})
	}
	return all
}

func TestNoEventActsOnTheTerminal(t *testing.T) {
	for text := range hostile {
		for _, p := range []*view.Progress{{}, {Quiet: true}, {Form: view.GitHubLog}, {JSON: true}} {
			harmless(t, printed(p, hostileEvents(text)...))
		}
	}
}

func TestJSONIsHarmlessAndMeansTheSame(t *testing.T) {
	for text := range hostile {
		value := map[string]string{"text": text, text: "name"}
		var b bytes.Buffer
		if err := view.Answer(&b, "pipe.x/1", "", value); err != nil {
			t.Fatal(err)
		}
		harmless(t, b.String())
		var got map[string]string
		if err := json.Unmarshal(b.Bytes(), &got); err != nil {
			t.Fatalf("%v in %q", err, b.String())
		}
		if s := strings.ToValidUTF8(text, "\ufffd"); got["text"] != s || got[s] != "name" {
			t.Errorf("%q became %q", text, got)
		}
	}
}

func TestACommandsOwnOutputIsPassedOnAsItIs(t *testing.T) {
	line := "\x1b[32mok\x1b[0m ::notice::built"
	out := []event.Event{{Type: event.Started, Stage: "app"}, {Type: event.Output, Stage: "app", Text: line}, {Type: event.Done, Stage: "app"}}
	for _, p := range []*view.Progress{{}, {Form: view.GitHubLog}} {
		if got := printed(p, out...); !strings.Contains(got, line) {
			t.Errorf("%q", got)
		}
	}
}

func FuzzPrint(f *testing.F) {
	for text := range hostile {
		f.Add(text, text)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		var out bytes.Buffer
		view.Print(&out, "%s %s\n  %s: %s\n", a, b, b, fmt.Errorf("x: %s", a))
		harmless(t, out.String())
		if strings.Count(out.String(), "\n") != 2 {
			t.Errorf("an argument begins a line: %q", out.String())
		}
	})
}
