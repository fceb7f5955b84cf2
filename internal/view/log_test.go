package view

import (
	"strings"
	"testing"

	"github.com/pipe-build/pipe/pkg/event"
)

func TestALogFromElsewhereDoesNotActOnItsReader(t *testing.T) {
	for in, want := range map[string]string{
		"plain\ttext":             "plain\ttext",
		"\x1b[1;31mred\x1b[0m":    "\x1b[1;31mred\x1b[0m",
		"\x1b[31mred":             "\x1b[31mred\x1b[m",
		"\x1b[31mred\x1b[m":       "\x1b[31mred\x1b[m",
		"\x1b[2Jgone\x1b]0;t\x07": `\x1b[2Jgone\x1b]0;t\a`,
		"10%\r20%\r":              "10%\n20%",
		"\r":                      "",
		"::error::no":             `\x3a:error::no`,
		"x\r::error::no":          "x\n\\x3a:error::no",
		"##[add-mask]x":           `\x23#[add-mask]x`,
		"\u202eabc \xff ü":        `\u202eabc \xff ü`,
		"\x1b[31m::error::no":     "\x1b[31m::error::no\x1b[m",
	} {
		if got := foreign(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestThisMachinesLogIsPassedOnAsItIs(t *testing.T) {
	const text = "\x1b[2J\r::notice::mine\nno end"
	var own, other strings.Builder
	Log(&own, text, true)
	Log(&other, text, false)
	if own.String() != text || other.String() != "\\x1b[2J\n\\x3a:notice::mine\nno end\n" {
		t.Errorf("own %q, other %q", own.String(), other.String())
	}
}

func TestAReplayedLineHasItsStageInFront(t *testing.T) {
	var b strings.Builder
	p := &Progress{W: &b}
	for _, text := range []string{"one", "10%\r20%", ""} {
		p.Event(event.Event{Type: event.Replayed, Stage: "build", Text: text})
	}
	if want := "build | one\nbuild | 10%\nbuild | 20%\nbuild | \n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}
