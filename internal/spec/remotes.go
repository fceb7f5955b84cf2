package spec

import (
	"strings"

	"github.com/pipe-build/pipe/internal/yamldoc"
)

// remotes reads remote:, a text or a map of named remotes in the order of preference.
func (r *reader) remotes(n *yamldoc.Node) []Remote {
	if n.Kind != yamldoc.Map {
		m := Remote{Name: "default", Place: n.Place(r.file)}
		m.URL = r.url(n, "remote")
		return []Remote{m}
	}
	if url := n.Get("url"); url != nil {
		_ = r.fault(url, "remote: a remote with settings must have a name").Hinted("write remote: {default: {url: %s}}", url.Value)
		return nil
	}
	if len(n.Pairs) == 0 {
		r.fault(n, "remote: the map is empty")
	}
	var all []Remote
	for _, p := range n.Pairs {
		if !stageName.MatchString(p.Key) {
			r.fault(p.At, "remote name %q is not valid; use up to 100 letters, digits, '_', '.', '@' and '-'", p.Key)
			continue
		}
		all = append(all, r.remote(p))
	}
	return all
}

// remoteFields reads each key of one remote. The table is the list of known keys, too, so that
// a key cannot be read and yet be called unknown.
var remoteFields = map[string]func(r *reader, m *Remote, n *yamldoc.Node, what string){
	"url":        func(r *reader, m *Remote, n *yamldoc.Node, what string) { m.URL = r.url(n, what) },
	"region":     func(r *reader, m *Remote, n *yamldoc.Node, what string) { m.Region, _ = r.text(n, "", what) },
	"endpoint":   func(r *reader, m *Remote, n *yamldoc.Node, what string) { m.Endpoint = r.endpoint(n, what) },
	"profile":    func(r *reader, m *Remote, n *yamldoc.Node, what string) { m.Profile, _ = r.text(n, "", what) },
	"path_style": func(r *reader, m *Remote, n *yamldoc.Node, what string) { m.PathStyle = r.flag(n, "", what) },
	"sse": func(r *reader, m *Remote, n *yamldoc.Node, what string) {
		m.SSE = r.oneOf(n, "", what, "AES256", "aws:kms")
	},
	"sse_kms_key_id": func(r *reader, m *Remote, n *yamldoc.Node, what string) { m.SSEKey, _ = r.text(n, "", what) },
}

// remote reads one remote. Settings belong to a server; a directory has none.
func (r *reader) remote(p yamldoc.Pair) Remote {
	m, what := Remote{Name: p.Key, Place: p.At.Place(r.file)}, "remote "+p.Key
	if p.Value.Kind != yamldoc.Map {
		m.URL = r.url(p.Value, what)
		return m
	}
	for _, f := range p.Value.Pairs {
		if read := remoteFields[f.Key]; read != nil {
			read(r, &m, f.Value, what+": "+f.Key)
		} else {
			r.unknown(f, what+": ", nil, keys(remoteFields))
		}
	}
	if p.Value.Get("url") == nil {
		r.fault(p.At, "%s: url is missing", what)
	}
	if m.SSEKey != "" && m.SSE != "aws:kms" {
		r.fault(p.Value.Get("sse_kms_key_id"), "%s: sse_kms_key_id needs sse: aws:kms", what)
	}
	if u := p.Value.Get("url"); m.URL != "" && !strings.Contains(m.URL, "://") && len(p.Value.Pairs) > 1 {
		r.fault(u, "%s: a directory takes no settings", what)
	}
	return m
}

// url reads a directory or a URL. Which schemes there are, package remote knows.
func (r *reader) url(n *yamldoc.Node, what string) string {
	s, _ := r.text(n, "", what)
	return s
}

// endpoint reads the URL of a server. The scheme must be there: it says whether TLS is used.
func (r *reader) endpoint(n *yamldoc.Node, what string) string {
	s, ok := r.text(n, "", what)
	if ok && !strings.HasPrefix(s, "http://") && !strings.HasPrefix(s, "https://") {
		r.fault(n, "%s: must start with http:// or https://", what) // not repeated: it may hold a password
	}
	return s
}
