package gitlog

import (
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"unicode"
)

// refused carries a Refusal up to Publish.
type refused struct {
	Refusal
	again bool // it may be another one the next time
}

func (r *refused) Error() string { return r.Text }

// refuse returns the error of a push that will not happen.
func refuse(c Cause, text string) error { return &refused{Refusal: Refusal{c, text}} }

// again returns the error of a push that may happen yet; if it never does, that is why.
func again(c Cause, text string) error { return &refused{Refusal: Refusal{c, text}, again: true} }

// words are what servers say, in lower case, and what they mean by it. The first that is found counts.
var words = []struct {
	cause Cause
	text  string
}{
	{Protected, "gh006"}, // GitHub: Protected branch update failed
	{Protected, "gh013"}, // GitHub: Repository rule violations found
	{Protected, "protected branch"},
	{Protected, "rule violations"},
	{Protected, "through a pull request"},             // GitHub: changes must be made
	{Protected, "through pull requests"},              // Bitbucket: can only be modified
	{Protected, "use a pull request"},                 // Azure: TF402455
	{Protected, "permission denied to update branch"}, // Bitbucket
	{Protected, "prohibited by gerrit"},
	{Forbidden, "denied to "}, // GitHub: Permission to X denied to Y
	{Forbidden, "access to repository not granted"},
	{Forbidden, "not allowed to push"}, // GitLab
	{Forbidden, "not allowed to upload"},
	{Forbidden, "you are not allowed"},
	{Forbidden, "do not have permission"},
	{Forbidden, "don't have permission"},
	{Forbidden, "insufficient permission"},
	{Forbidden, "need the git"},      // Azure: TF401027
	{Forbidden, "refusing to allow"}, // GitHub: a token that may not change workflows
	{Forbidden, "deploy key"},
	{Forbidden, "deployment key"},
	{Forbidden, "read only"},
	{Forbidden, "read-only"},
	{Forbidden, "archived"},
	{Forbidden, "permission denied"}, // ssh; and the file system
	{Forbidden, "access denied"},
	{Forbidden, "unauthorized"},
	{Forbidden, "authentication failed"},
	{Forbidden, "could not read username"},
	{Forbidden, "could not read password"},
	{Forbidden, "invalid username"},
	{Forbidden, "invalid credentials"},
	{Forbidden, "returned error: 401"},
	{Forbidden, "returned error: 403"},
	{Forbidden, "repository not found"}, // whoever may not read it is told that it is not there
	{Forbidden, "returned error: 404"},
	{Forbidden, "project you were looking for could not be found"}, // GitLab
}

// meaning returns what a server's words mean, otherwise the cause that is given.
func meaning(text string, otherwise Cause) Cause {
	text = strings.ToLower(text)
	for _, w := range words {
		if strings.Contains(text, w.text) {
			return w.cause
		}
	}
	return otherwise
}

// unanswered is the error of a git that got no answer about any branch.
func unanswered(a *answered) error {
	text := said(a.stderr)
	if text == "" {
		text = fmt.Sprintf("git exited with status %d", a.exit)
	}
	if c := meaning(text, Unreachable); c != Unreachable {
		return refuse(c, text)
	}
	if strings.Contains(text, "Operation too slow") { // it was waited for long enough: see transferSettings
		return refuse(Unreachable, text)
	}
	return again(Unreachable, text)
}

// rejected is the error of a push that was answered: "[rejected] (stale info)" is git's own word,
// "[remote rejected] (REASON)" that of the server, which says more as it goes.
func rejected(status, stderr string) error {
	kind, reason, _ := strings.Cut(status, "] (")
	reason = strings.TrimSuffix(reason, ")")
	switch {
	case kind == "[rejected":
		return again(Moving, "another push came first")
	case kind == "[remote failure":
		return again(Unreachable, reason)
	}
	text := told(stderr)
	if !strings.Contains(text, reason) {
		text += separator(text) + reason
	}
	if strings.Contains(text, "cannot lock ref") && strings.Contains(text, "but expected") { // the server's own compare-and-swap
		return again(Moving, "another push came first")
	}
	c := meaning(text, Hook)
	// The update that came between question and push may still hold the reference. If nobody has
	// come first, it is something else.
	lost := func(w string) bool { return strings.Contains(reason, w) }
	if c == Hook && slices.ContainsFunc([]string{"cannot lock ref", "failed to update ref", "failed to lock", "incorrect old value", "already exists"}, lost) {
		return again(Hook, text)
	}
	return refuse(c, text)
}

// told returns what the server itself has said, which git marks.
func told(stderr string) string {
	var b strings.Builder
	for line := range strings.Lines(stderr) {
		if strings.HasPrefix(line, "remote:") {
			b.WriteString(line)
		}
	}
	return said(b.String())
}

// said returns what git, a server or a hook has said, in one line for people: without git's advice,
// without secrets, and without what could act on a terminal.
func said(text string) string {
	const longest = 1000 // bytes: more is a log, and its first lines say what it is about
	var all strings.Builder
	for line := range strings.Lines(strings.ReplaceAll(text, "\r", "\n")) {
		line = strings.Map(printable, line)
		for _, mark := range []string{"remote:", "fatal:", "error:"} {
			line = strings.TrimPrefix(strings.TrimSpace(line), mark)
		}
		if line = strings.TrimSpace(line); line == "" || isAdvice(line) {
			continue
		}
		words := strings.Split(line, " ")
		for i, w := range words {
			if strings.Contains(w, "://") {
				words[i] = plainWord(w)
			}
		}
		all.WriteString(separator(all.String()) + strings.Join(words, " "))
	}
	if s := all.String(); len(s) > longest {
		return strings.ToValidUTF8(s[:longest], "") + "..."
	}
	return all.String()
}

// separator returns what comes between a text and the next line of it.
func separator(text string) string {
	switch {
	case text == "":
		return ""
	case strings.ContainsAny(text[len(text)-1:], ".,:;!?"):
		return " "
	}
	return "; "
}

// printable drops what is no text. A tab becomes a space.
func printable(c rune) rune {
	switch {
	case c == '\t':
		return ' '
	case unicode.IsPrint(c):
		return c
	}
	return -1
}

// isAdvice reports whether a line of git says nothing about the cause.
func isAdvice(line string) bool {
	for _, begin := range []string{"hint:", "To ", "Done", "failed to push some refs to", "Please make sure you have the correct access rights", "and the repository exists."} {
		if strings.HasPrefix(line, begin) {
			return true
		}
	}
	return false
}

// plainWord is Plain for a URL with quotes and the like around it.
func plainWord(w string) string {
	begin := strings.IndexFunc(w, unicode.IsLetter)
	if begin < 0 {
		return w
	}
	return w[:begin] + Plain(w[begin:])
}

// stderrOf returns what a git that failed has said.
func stderrOf(err error) string {
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return string(exit.Stderr)
	}
	return err.Error()
}
