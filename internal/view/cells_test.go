package view

import (
	"strings"
	"testing"
)

func TestATextIsCutToColumns(t *testing.T) {
	for _, c := range []struct {
		text    string
		columns int
		want    string
	}{
		{"", 5, ""},
		{"abcde", 5, "abcde"},
		{"abcdef", 5, "abcd…"},
		{"abc", 1, "…"},
		{"abc", 0, ""},
		{"abc", -3, ""},
		{"日本語", 6, "日本語"},
		{"日本語", 5, "日本…"},
		{"日本語", 4, "日…"},
		{"日本語", 2, "…"},
		{"e\u0301e\u0301e\u0301", 3, "e\u0301e\u0301e\u0301"},
		{"🚀🚀", 3, "🚀…"},
		{"ﾊﾝｶｸ", 4, "ﾊﾝｶｸ"},
		{"ＦＵＬＬ", 5, "ＦＵ…"},
	} {
		if got := cut(c.text, c.columns); got != c.want {
			t.Errorf("%q in %d columns: %q, want %q", c.text, c.columns, got, c.want)
		}
	}
}

func TestALineOfACommandCannotMoveTheCursor(t *testing.T) {
	for line, want := range map[string][2]string{ // above live lines, and in one
		"\x1b[31mred\x1b[0m":                {"\x1b[31mred\x1b[0m" + reset, "red"},
		"\x1b[38;5;196mred":                 {"\x1b[38;5;196mred" + reset, "red"},
		"\x1b[2J\x1b[Hhome":                 {"home", "home"},
		"\x1b[?25lhide":                     {"hide", "hide"},
		"\x1b[3Aup":                         {"up", "up"},
		"\x1b]0;title\arest":                {"rest", "rest"},
		"\x1b]8;;http://x\x1b\\link":        {"link", "link"},
		"\x1b]0;no end":                     {"", ""},
		"\x1bPq#0\x1b\\sixel":               {"sixel", "sixel"},
		"\x1bM\x1b7\x1b(0back":              {"back", "back"},
		"a\bb\x07c\x7f\u009b2J":             {"abc2J", `a\bb\ac\x7f\u009b2J`},
		"tab\tbed":                          {"tab\tbed", "tab bed"},
		"\x1b":                              {"", ""},
		"  ::error::plain 日本":               {"  ::error::plain 日本", "::error::plain 日本"},
		strings.Repeat("x", 9000) + "\x1b[": {strings.Repeat("x", 9000), strings.Repeat("x", longest)},
	} {
		if got := tame(line); got != want[0] {
			t.Errorf("%q is printed as %q, want %q", line, got, want[0])
		}
		if got := plain(line); got != want[1] {
			t.Errorf("%q is live as %q, want %q", line, got, want[1])
		}
	}
}
