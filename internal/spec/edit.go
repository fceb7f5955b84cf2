package spec

import (
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
)

// AddName returns the text of a pipe.yaml with project: above its first key, and all else as
// it is. A comment directly above that key stays with it. The result is parsed before it is
// returned: where the text has a form that this way of adding a line does not fit, the user
// gets the line to add by hand.
func AddName(text, name string, opt Options) (string, error) {
	line := "project: " + name
	lines := strings.SplitAfter(text, "\n")
	at := 0
	for i, l := range lines {
		l = strings.TrimSpace(l)
		if l == "" || l == "---" {
			at = i + 1
		} else if !strings.HasPrefix(l, "#") {
			break
		}
	}
	// A file with CR LF keeps it in the new line, too.
	end := "\n"
	if strings.HasSuffix(lines[0], "\r\n") {
		end = "\r\n"
	}
	rest := strings.Join(lines[at:], "")
	if strings.HasPrefix(rest, "#") {
		rest = end + rest // or that comment would seem to be about the name
	}
	next := strings.Join(lines[:at], "") + line + end + rest
	if got, err := ParseIn(FileName, []byte(next), opt); err != nil || got.Name != name {
		return "", diag.New(diag.Usage, "cannot add project: to %s in its present form", FileName).At(FileName).
			Hinted("add this line: %s", line)
	}
	return next, nil
}
