package view_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/view"
)

// The escapes are those of the tests of actions/toolkit, packages/core/__tests__/core.test.ts.
func TestAnAnnotationIsOneLineWhateverIsInIt(t *testing.T) {
	for want, a := range map[string]view.Annotation{
		"::error title=a::": {Title: "a"},
		"::warning title=pipe.lock was not pushed::allow it":                             {Warning: true, Title: "pipe.lock was not pushed", Text: []string{"allow it"}},
		"::error file=a/pipe.yaml,line=3,col=5,title=t::x%0Ay":                           {File: "a/pipe.yaml", Line: 3, Column: 5, Title: "t", Text: []string{"x", "y"}},
		"::error file=a,line=3,title=t::":                                                {File: "a", Line: 3, Title: "t"},
		"::error title=t::x":                                                             {Line: 3, Column: 5, Title: "t", Text: []string{"x"}},
		"::error file=a%2Cb%3Ac%25%0A%0Dd,title=50%25%2C %3A\\n\\u202e::100%25: a, b\\r": {File: "a,b:c%\n\rd", Title: "50%, :\n\u202e", Text: []string{"100%: a, b\r"}},
		"::error title=t::%250A::error::x%0A\\x23#[group]y":                              {Title: "t", Text: []string{"%0A::error::x", "##[group]y"}},
		"::error title=t::red\tx":                                                        {Title: "t", Text: []string{"\x1b[31mred\x1b[m\tx\x1b]0;title\a"}},
		"::error title=t::" + strings.Repeat("x", 299) + "…":                             {Title: "t", Text: []string{strings.Repeat("x", 400)}},
	} {
		var b bytes.Buffer
		view.Annotate(&b, a)
		got, rest, _ := strings.Cut(b.String(), "\n")
		if got != want || rest != "" {
			t.Errorf("got\n%s%s, want\n%s", got, rest, want)
		}
	}
}
