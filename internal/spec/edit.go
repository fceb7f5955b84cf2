package spec

import (
	"fmt"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/yamldoc"
)

// AddName returns the text of a pipe.yaml with project: above its first key, and all else as
// it is. A comment directly above that key stays with it. The result is parsed before it is
// returned: where the text has a form that this way of adding a line does not fit, the user
// gets the line to add by hand.
func AddName(text, name string) (string, error) {
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
	if got, err := Parse(FileName, []byte(next)); err != nil || got.Name != name {
		return "", diag.New(diag.Usage, "cannot add project: to %s in its present form", FileName).At(FileName).
			Hinted("add this line: %s", line)
	}
	return next, nil
}

// AddRemote returns the text of a pipe.yaml with one more remote, and all else as it is. It
// fails where the file's form leaves no place for a line. A YAML writer would reformat the
// file and lose comments, so a line is inserted and the result is parsed: it must have one
// remote more.
func AddRemote(text string, r Remote) (string, error) {
	// Quoted in any case: a URL may hold characters that YAML reads as something else.
	value := yamldoc.Quote(r.URL)
	if r.Endpoint != "" || r.Region != "" {
		value = "{url: " + value
		if r.Endpoint != "" {
			value += ", endpoint: " + yamldoc.Quote(r.Endpoint)
		}
		if r.Region != "" {
			value += ", region: " + yamldoc.Quote(r.Region)
		}
		value += "}"
	}
	line := fmt.Sprintf("  %s: %s", yamldoc.Quote(r.Name), value)
	before, err := Parse(FileName, []byte(text))
	if err != nil {
		return "", err
	}
	next, ok := withRemote(text, line)
	if ok {
		after, err := Parse(FileName, []byte(next))
		if err != nil {
			return "", diag.New(diag.Usage, "cannot add the remote to %s: %w", FileName, err).At(FileName).
				Hinted("add this line below remote: %s", strings.TrimSpace(line))
		}
		ok = len(after.Remotes) == len(before.Remotes)+1
	}
	if !ok {
		return "", diag.New(diag.Usage, "cannot add the remote to %s in its present form", FileName).At(FileName).
			Hinted("add this line below remote: %s", strings.TrimSpace(line))
	}
	return next, nil
}

// withRemote returns the text with one more line below remote:, if there is a place for it. A
// remote that is a plain text becomes the first of a map, under the name default that it had.
func withRemote(text, line string) (string, bool) {
	lines := strings.SplitAfter(text, "\n")
	for i, l := range lines {
		rest, ok := strings.CutPrefix(l, "remote:")
		if !ok {
			continue
		}
		value, _, _ := strings.Cut(rest, " #")
		value = strings.TrimSpace(value)
		switch {
		case value == "":
			// The first remote is the default, so the new one goes behind the last.
			end := i + 1
			for end < len(lines) && (strings.HasPrefix(lines[end], " ") || strings.TrimSpace(lines[end]) == "") {
				end++
			}
			for end > i+1 && strings.TrimSpace(lines[end-1]) == "" {
				end--
			}
			return strings.Join(lines[:end], "") + line + "\n" + strings.Join(lines[end:], ""), true
		case strings.HasPrefix(value, "{"):
			return "", false
		}
		lines[i] = "remote:\n  default: " + value + "\n" + line + "\n"
		return strings.Join(lines, ""), true
	}
	return "remote:\n" + line + "\n\n" + text, true
}
