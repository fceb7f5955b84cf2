package source

import (
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/gitlog"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/yamldoc"
)

// Check refuses what pipe.yaml may not say of a source.
func Check(s spec.Source) error {
	word := s.Git
	if i := strings.Index(s.Git, "::"); i >= 0 {
		word = s.Git[:i]
	}
	switch {
	case s.Git == "" || s.Git[0] == '-' || strings.ContainsFunc(s.Git, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return diag.New(diag.Usage, "sources: %s: %q is not a git URL", s.Path, s.Git).At(s.Place)
	case word == "ext" || word == "fd":
		return diag.New(diag.Usage, "sources: %s: pipe does not use the transport %s::", s.Path, word).At(s.Place).Hinted("use https, ssh or a directory")
	case hasPassword(s.Git):
		return diag.New(diag.Usage, "sources: %s: the URL contains a password, and pipe.yaml is committed", s.Path).At(s.Place).
			Hinted("write %s, and let git's credential helper give the password (git help credentials)", gitlog.Plain(s.Git))
	case badRef(s.Ref):
		return diag.New(diag.Usage, "sources: %s: %q is not a branch, tag or full commit hash", s.Path, s.Ref).At(s.Place)
	}
	return nil
}

// hasPassword reports whether a URL has user:password@ in it. A user alone, as ssh needs it, is no secret.
func hasPassword(url string) bool {
	_, rest, ok := strings.Cut(url, "://")
	host, _, _ := strings.Cut(rest, "/")
	user, _, is := strings.Cut(host, "@")
	return ok && is && strings.Contains(user, ":")
}

// badRef refuses what git check-ref-format does, and what it would take for something else.
func badRef(ref string) bool {
	return strings.HasPrefix(ref, "-") || strings.HasPrefix(ref, "+") || strings.Contains(ref, "..") || strings.Contains(ref, "@{") ||
		strings.ContainsFunc(ref, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune(`:^~*?[\`, r) })
}

// Find returns the source that a name means: its path, the last element of it, or the name of its
// repository. It fails with diag.Usage when none does, or several.
func Find(all []spec.Source, name string) (*spec.Source, error) {
	clean := path.Clean(filepath.ToSlash(name))
	by := []func(s spec.Source) string{
		func(s spec.Source) string { return string(s.Path) },
		func(s spec.Source) string { return s.Path.Base() },
		func(s spec.Source) string { return Repository(s.Git) },
	}
	for _, of := range by {
		var found []int
		for i := range all {
			if of(all[i]) == clean {
				found = append(found, i)
			}
		}
		if len(found) == 1 {
			return &all[found[0]], nil
		}
		if len(found) > 1 {
			return nil, diag.New(diag.Usage, "several sources are called %q", name).Hinted("name one by its path: %s, %s", all[found[0]].Path, all[found[1]].Path)
		}
	}
	var names []string
	for _, s := range all {
		names = append(names, string(s.Path), s.Path.Base(), Repository(s.Git))
	}
	e := diag.New(diag.Usage, "no source is called %q", name)
	switch near := yamldoc.Nearest(name, names); {
	case near != "":
		return nil, e.Hinted("did you mean %s?", near)
	case len(all) == 0:
		return nil, e.Hinted("pipe.yaml has no sources")
	}
	return nil, e.Hinted("sources: %s", strings.Join(slices.Compact(names), ", "))
}

// Repository returns the name of a repository: the last element of its URL without .git.
func Repository(url string) string {
	url = strings.TrimSuffix(strings.TrimRight(filepath.ToSlash(url), "/"), ".git")
	return url[strings.LastIndexAny(url, "/:")+1:]
}
