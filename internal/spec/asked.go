package spec

import (
	"net/url"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/image"
	"github.com/pipe-build/pipe/internal/yamldoc"
	"github.com/pipe-build/pipe/pkg/artifact"
)

// asking is a kind of input that has no path.
type asking struct {
	what string // a placeholder for it
	list func(*Stage) *[]Asked
	// check refuses a name, with no part of it in the text that may be a secret; nil: all are taken.
	check func(name string) *diag.Error
	short string // what to do about a name that is too long
}

var askings = map[string]asking{
	"cmd":   {"COMMAND", func(s *Stage) *[]Asked { return &s.Tools }, nil, "write a script and name it: {cmd: ./versions.sh}"},
	"image": {"NAME", func(s *Stage) *[]Asked { return &s.Images }, checkImage, "use a shorter name"},
	"url":   {"URL", func(s *Stage) *[]Asked { return &s.URLs }, checkURL, "use a shorter URL"},
}

// asked reads {cmd: command}, {image: name} or {url: URL}; false: it is none of them. Nothing else can be said of
// such an input: it has no file that could be published or left out.
func (s *stageReader) asked(n *yamldoc.Node) bool {
	i := slices.IndexFunc(n.Pairs, func(f yamldoc.Pair) bool { return askings[f.Key].what != "" })
	if i < 0 {
		return false
	}
	key, at := n.Pairs[i].Key, n.Pairs[i].Value
	for _, f := range n.Pairs {
		if f.Key != key {
			_ = s.bad(f.At, "dependency: %s cannot be combined with %s", key, f.Key).
				Hinted("write {%s: %s}, and the other as a dependency of its own", key, askings[key].what)
		}
	}
	if text, ok := s.text(at, s.prefix(), "dependency "+key); ok {
		s.addAsked(at, key, strings.TrimSuffix(text, "\n"))
	}
	return true
}

func (s *stageReader) addAsked(at *yamldoc.Node, key, name string) {
	kind := askings[key]
	var fault *diag.Error
	if kind.check != nil {
		fault = kind.check(name)
	}
	switch {
	case len(name) > artifact.MaxTool:
		_ = s.bad(at, "dependency %s: longer than %d KiB", key, artifact.MaxTool>>10).Hinted("%s", kind.short)
	case fault != nil:
		_ = s.bad(at, "dependency %s: %s", key, fault.What).Hinted("%s", fault.Hint)
	case s.once(at, "dependency", "{"+key+": "+name+"}"):
		list := kind.list(&s.st)
		*list = append(*list, Asked{Name: name, Place: at.Place(s.file)})
	}
}

func checkImage(name string) *diag.Error {
	if _, err := image.Parse(name); err != nil {
		return diag.New(diag.Usage, "%s is not the name of an image: %w", name, err).Hinted("write {image: alpine:3.20} or {image: ghcr.io/OWNER/NAME:TAG}")
	}
	return nil
}

// checkURL refuses what cannot be asked for, or must not stand in a file that is committed.
func checkURL(text string) *diag.Error {
	u, err := url.Parse(text)
	fault := func(what, hint string) *diag.Error { return diag.New(diag.Usage, "%s", what).Hinted("%s", hint) }
	switch {
	case err != nil: // its text may hold a password
		return fault("must be a valid URL", "write {url: https://HOST/PATH}")
	case u.User != nil:
		return fault("must not contain a user or password, which would be committed", "use a {cmd: ...} that reads the credentials from the environment")
	case u.Scheme == "file", u.Scheme == "" && u.Host == "":
		return fault("must begin with https:// or http://", "write the path of a file as it is, without url")
	case !slices.Contains([]string{"https", "http"}, u.Scheme):
		return fault("must begin with https:// or http://", "for others, use a {cmd: ...} that prints a version or a hash")
	case u.Hostname() == "":
		return fault("has no host", "write {url: https://HOST/PATH}")
	case strings.Contains(text, "#"):
		return fault("must not have a fragment (#...): servers never see it", "write what comes before the #")
	}
	return nil
}
