package spec

import (
	"regexp"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/yamldoc"
)

// storeName is what every store takes as part of a path: in lower case, because a directory
// on a disk that ignores case may be the store.
var storeName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// IsEnvironment reports whether an environment may have the name. A store has locks of its own
// beside its cells, whose names end in .lock.
func IsEnvironment(name string) bool {
	return storeName.MatchString(name) && !strings.HasSuffix(name, ".lock")
}

// IsProject reports whether a project may have the name.
func IsProject(name string) bool { return storeName.MatchString(name) }

// name reads project:.
func (r *reader) name(n *yamldoc.Node) string {
	s, ok := r.text(n, "", "project")
	if !ok || IsProject(s) {
		return s
	}
	_ = r.fault(n, "project: %q is not a valid name; use up to 63 lower-case letters, digits, '.', '_' and '-', starting with a letter or digit", s).
		Hinted("project: %s", FitName(s))
	return ""
}

// FitName makes a valid project name of a directory's or repository's name. The result always
// passes IsProject.
func FitName(s string) string {
	s = strings.TrimSuffix(strings.ToLower(s), ".git")
	s = strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || strings.ContainsRune("._-", c) {
			return c
		}
		return '-'
	}, s)
	s = strings.TrimRight(strings.TrimLeft(s, "._-"), "-")
	// All bytes are ASCII by now, so the cut never splits a character.
	if s = s[:min(len(s), 63)]; s == "" {
		return "project"
	}
	return s
}

// Deploys reports whether there is a deploy stage.
func (p *Project) Deploys() bool {
	return slices.ContainsFunc(p.Stages, func(s Stage) bool { return s.Deploy })
}
