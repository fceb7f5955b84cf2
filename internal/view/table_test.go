package view

import (
	"strings"
	"testing"
)

func TestATableIsAlignedAndHarmless(t *testing.T) {
	var b strings.Builder
	Table(&b, [][]string{{"ENV", "BY", "STATUS"}, {"production", "ä", "live"}, {"x", "b\x1b[31m", "failed"}, {"", "", "more"}, {"short"}})
	const want = "ENV         BY         STATUS\n" +
		"production  ä          live\n" +
		"x           b\\x1b[31m  failed\n" +
		"                       more\n" +
		"short\n"
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &b, want)
	}
}
