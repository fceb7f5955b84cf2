package view

import (
	"fmt"
	"strings"
)

// Form is how a CI system folds lines of a log: the system's name, as package ci has it. A system
// without a form of its own folds nothing, as CircleCI does.
type Form string

// The forms.
const (
	GitHubLog    Form = "github"
	GitLabLog    Form = "gitlab"
	BuildkiteLog Form = "buildkite"
)

// folds reports whether the form folds anything. No form has two groups at once, so what is folded
// waits for its end.
func (f Form) folds() bool { return f == GitHubLog || f == GitLabLog || f == BuildkiteLog }

// fold prints what is held of a stage's output in one group, unless it waits for a failure. What led
// to a failure is open. The output itself is raw: workflow commands in it are meant, and stand at the
// beginning of a line only here.
func (p *Progress) fold(s *stage, failed bool) {
	if len(s.held) == 0 || p.Quiet {
		return
	}
	begin, end := p.group(s, failed)
	raw(p.W, begin+"\n"+strings.Join(s.held, "\n")+"\n"+end)
	s.held, s.size, s.since = nil, 0, p.Now()
}

// group returns the line that begins a group, and what ends it. Nothing in them needs an escape: the
// name is one of pipe.yaml, or escaped by subject.
func (p *Progress) group(s *stage, failed bool) (begin, end string) {
	title := "output of " + s.name
	switch {
	case p.Form == GitHubLog && failed:
		return title + ":", "" // its groups are always closed
	case p.Form == GitHubLog:
		return "::group::" + title, "::endgroup::\n"
	case p.Form == GitLabLog:
		return p.section(s, title, failed)
	}
	// Buildkite's groups end where the next one begins, so what pipe says itself is in open ones. A
	// line of a command that looks like a heading is one; Go's tests print such.
	if failed {
		return "+++ " + title, "+++ pipe\n"
	}
	return "--- " + title, "+++ pipe\n"
}

// section is a group of GitLab, which shows how long it took. Its names are unique in a job, where
// pipe may be called again.
func (p *Progress) section(s *stage, title string, failed bool) (begin, end string) {
	p.sections++
	now := p.Now()
	name := fmt.Sprintf("%s.%d.%d", strings.Map(sectionName, s.name), now.Unix(), p.sections)
	options := "[collapsed=true]"
	if failed {
		options = ""
	}
	begin = fmt.Sprintf("\x1b[0Ksection_start:%d:%s%s\r\x1b[0K%s", s.since.Unix(), name, options, title)
	return begin, fmt.Sprintf("\x1b[0Ksection_end:%d:%s\r\x1b[0K\n", now.Unix(), name)
}

// sectionName replaces what GitLab does not take in the name of a section.
func sectionName(r rune) rune {
	if r < 0x80 && (r == '_' || r == '.' || r == '-' || '0' <= r && r <= '9' || 'a' <= r|0x20 && r|0x20 <= 'z') {
		return r
	}
	return '_'
}
