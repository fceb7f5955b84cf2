package view

import (
	"html"
	"regexp"
	"strings"
	"testing"
)

// inertMarkdown is the only form that Markdown may make: code spans, each of one backtick, and
// entities between them.
var inertMarkdown = regexp.MustCompile("^(`[^`|\n\r]+`(&#(96|124);|$)|&#(96|124);)*$")

// readMarkdown shows a text as GitHub would.
func readMarkdown(text string) string {
	return regexp.MustCompile("`[^`]+`|&#[0-9]+;").ReplaceAllStringFunc(text, func(s string) string {
		if s[0] == '&' {
			return html.UnescapeString(s)
		}
		s = s[1 : len(s)-1]
		if s[0] == ' ' && s[len(s)-1] == ' ' && strings.Trim(s, " ") != "" {
			s = s[1 : len(s)-1]
		}
		return s
	})
}

var hostile = []string{
	"", " ", "  ", "a", " a", "a ", " a ", "  a  ", "`", "``", "`a`", "a`", "|", "||", "a|b", `a\|b`, `\`, "\\`", "` `", " ` | ",
	"@octocat", "fixes #1", "GH-1", "a/b#2", "https://example.com/x", "www.example.com", "a@example.com", ":tada:", "$x$", "$`x`$",
	"<b>", "</code>", "<!-- pipe-plan . -->", "-->", "[a](b)", "![a](b)", "*a* _b_ ~~c~~", "# a", "- a", "1. a", "> a", "&lt;", "&#96;",
	"a\nb", "a\r\nb", "\x00\x1b[31m", "\xff", "a\u2028b", "\u202egpj.exe", "日本|語`", strings.Repeat("`", 200),
}

func TestMarkdownShowsAnyTextAndDoesNothingElse(t *testing.T) {
	for _, text := range hostile {
		got := Markdown(text)
		if !inertMarkdown.MatchString(got) {
			t.Errorf("%q: %q is more than code spans and entities", text, got)
		}
		if shown := readMarkdown(got); shown != visible(text) {
			t.Errorf("%q is shown as %q", text, shown)
		}
	}
}

func FuzzMarkdown(f *testing.F) {
	for _, text := range hostile {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got := Markdown(text); !inertMarkdown.MatchString(got) || readMarkdown(got) != visible(text) {
			t.Errorf("%q: %q", text, got)
		}
	})
}

func TestAMarkdownTableHasItsHeadAndItsRows(t *testing.T) {
	got := MarkdownHead("Stage", "Verb") + MarkdownRow(Markdown("a|b"), "run")
	if want := "| Stage | Verb |\n| --- | --- |\n| `a`&#124;`b` | run |\n"; got != want {
		t.Errorf("%q, not %q", got, want)
	}
}
