package spec

import (
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/yamldoc"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Source is another git repository, whose files lie at a path of this one.
type Source struct {
	Path  repopath.Path // where its files are put; git ignores it
	Git   string        // URL, or a directory, absolute or relative to the project; for git it is never an option or a helper
	Ref   string        // branch, tag or commit; empty: the repository's HEAD
	Place string
}

// sources reads sources:.
func (r *reader) sources(n *yamldoc.Node) (all []Source) {
	switch n.Kind {
	case yamldoc.Map:
	case yamldoc.Null: // the last entry was removed, a comment was not
	default:
		_ = r.fault(n, "sources: must be a map, not %s", n.Kind).Hinted("write sources: {src/api: {git: URL, ref: main}}")
	}
	for _, p := range n.Pairs {
		if s, ok := r.source(p); ok {
			all = append(all, s)
		}
	}
	slices.SortStableFunc(all, func(a, b Source) int { return strings.Compare(string(a.Path), string(b.Path)) })
	return all
}

// source reads one source; false when its path has a fault, so that nothing is compared with it.
func (r *reader) source(p yamldoc.Pair) (s Source, ok bool) {
	s.Place = p.At.Place(r.file)
	s.Path, _, ok = r.path(p.At, repopath.Root, "source")
	switch {
	case !ok:
	case repopath.HasMeta(p.Key):
		_ = r.fault(p.At, "source %s: globs are not allowed", p.Key).Hinted("name the directory that gets the files")
		ok = false
	default:
		ok = r.reserved(p.At, s.Path, "source")
	}
	what := "source " + p.Key + ": "
	if p.Value.Kind != yamldoc.Map {
		// Not repeated: a URL may hold a password.
		_ = r.fault(p.Value, "%smust be a map with git, not %s", what, p.Value.Kind).Hinted("write {git: URL, ref: main}")
		return s, ok
	}
	for _, f := range p.Value.Pairs {
		switch f.Key {
		case "git":
			s.Git = r.git(f.Value, what+"git")
		case "ref":
			s.Ref = r.ref(f.Value, what+"ref")
		default:
			r.unknown(f, what, nil, []string{"git", "ref"})
		}
	}
	if p.Value.Get("git") == nil {
		r.fault(p.At, "%sgit is missing", what)
	}
	return s, ok
}

// ref reads a branch, tag or commit.
func (r *reader) ref(n *yamldoc.Node, what string) string {
	s, ok := r.text(n, "", what)
	if !ok {
		return ""
	}
	if !IsRef(s) {
		_ = r.fault(n, "%s: %q is not a valid branch, tag or commit", what, s).Hinted("write its name, such as main, v1.2 or a commit's hash")
		return ""
	}
	return s
}

// IsRef reports whether a text can name a branch, a tag or a commit, by git check-ref-format. It
// is never an option, a refspec or an expression such as main~1, so it may be an argument of git.
func IsRef(s string) bool {
	if s == "" || s == "@" || strings.ContainsAny(s, " ~^:?*[\\") || strings.ContainsFunc(s, unicode.IsControl) || strings.Contains(s, "@{") {
		return false
	}
	if strings.HasPrefix(s, "-") || strings.HasPrefix(s, "+") || strings.HasSuffix(s, ".") || strings.Contains(s, "..") {
		return false
	}
	return !slices.ContainsFunc(strings.Split(s, "/"), func(part string) bool {
		return part == "" || strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock")
	})
}

// git reads the URL or the directory of a repository. No fault repeats it: it may hold a password.
func (r *reader) git(n *yamldoc.Node, what string) string {
	s, ok := r.text(n, "", what)
	if !ok {
		return ""
	}
	if why, hint := badGit(s); why != "" {
		_ = r.fault(n, "%s: %s", what, why).Hinted("%s", hint)
		return ""
	}
	return s
}

var (
	// gitHelper is how git finds a program of its own for a transport; ext:: runs any command.
	gitHelper = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9+.-]*::`)
	// scpLike is ssh's short form, which ends where a path or a port would begin.
	scpLike = regexp.MustCompile(`^([^/:@]+@)?([^/:]+):`)
	// scpSecret is user:token@host: ssh would take user for the host.
	scpSecret = regexp.MustCompile(`^[^/:@]*:[^/@]*@`)
	// gitSchemes are those for which git starts no program that only this machine may have.
	gitSchemes = []string{"https", "http", "ssh", "git+ssh", "ssh+git", "git", "file"}
)

// badGit says what is wrong with a repository's URL or directory, and what to write; "" is nothing.
func badGit(s string) (why, hint string) {
	const asURL, asOther = "write https://host/path, and let git's credential helper supply the token", "write https://host/path, user@host:path or a directory"
	switch {
	case strings.HasPrefix(s, "-"):
		return "must not begin with -", asOther
	case strings.ContainsFunc(s, unicode.IsControl):
		return "contains a control character", asOther
	case gitHelper.MatchString(s):
		return "transport helpers (NAME::ADDRESS) are not allowed", asOther
	case !strings.Contains(s, "://"):
		host := scpLike.FindStringSubmatch(s)
		if scpSecret.MatchString(s) {
			return "contains a password or a token", asURL
		}
		if host != nil && strings.HasPrefix(host[2], "-") {
			return "the host must not begin with -", asOther
		}
		return "", ""
	}
	scheme, _, _ := strings.Cut(s, "://")
	if !slices.Contains(gitSchemes, scheme) { // git would look for a program of that name
		return "the URL must begin with https://, http://, ssh://, git:// or file://", asOther
	}
	u, err := url.Parse(s)
	if err != nil {
		return "not a valid URL", asOther
	}
	_, secret := u.User.Password()
	switch {
	case secret, u.User != nil && strings.HasPrefix(u.Scheme, "http"):
		return "contains a user name, a password or a token", asURL
	case u.RawQuery != "", u.Fragment != "":
		return "the URL must not have ? or #", asURL
	case strings.HasPrefix(u.Host, "-"), strings.HasPrefix(u.User.Username(), "-"):
		return "the host must not begin with -", asOther
	case strings.ContainsFunc(u.Host+u.Path, unicode.IsControl):
		return "contains a control character", asOther
	}
	return "", ""
}

// repository is the name of the source's repository; "" when its directory does not say one.
func (s *Source) repository() string {
	at := strings.TrimSuffix(strings.TrimRight(s.Git, `/\`), "/.git")
	name := strings.TrimSuffix(at[strings.LastIndexAny(at, `/\:`)+1:], ".git")
	if strings.Trim(name, ".") == "" {
		return ""
	}
	return name
}

// Source returns the source that a command line names: by its path, by the last element of its
// path, or by its repository's name.
func (p *Project) Source(name string) (*Source, error) {
	var named []*Source
	var paths, names []string
	for i := range p.Sources {
		s := &p.Sources[i]
		if string(s.Path) == path.Clean(name) {
			return s, nil
		}
		if name != "" && (s.Path.Base() == name || s.repository() == name) {
			named = append(named, s)
			paths = append(paths, string(s.Path))
		}
		names = append(names, string(s.Path), s.Path.Base(), s.repository())
	}
	switch {
	case len(p.Sources) == 0:
		return nil, diag.New(diag.Usage, "no source named %q: there is no sources: in %s", name, FileName).At(FileName)
	case len(named) == 0:
		var known []string
		for i := range p.Sources {
			known = append(known, string(p.Sources[i].Path))
		}
		return nil, guess(diag.New(diag.Usage, "no source named %q", name).At(FileName), name, names, "sources: "+strings.Join(known, ", "))
	case len(named) > 1:
		return nil, diag.New(diag.Usage, "%q names several sources", name).At(FileName).Hinted("write one of these paths: %s", strings.Join(paths, ", "))
	}
	return named[0], nil
}

// apart reports sources that lie where another source, an output or an input lies: each would
// delete the other's files.
func (r *reader) apart(p *Project, x *outIndex) {
	for i, s := range p.Sources {
		for _, holder := range p.Sources[:i] { // what holds a path sorts before it
			if holder.Path.Holds(s.Path) {
				r.faultAt(s.Place, "source %s: overlaps with source %s (%s)", s.Path, holder.Path, holder.Place)
				break
			}
		}
		report := func(m made) {
			_ = r.faultAt(s.Place, "source %s: overlaps with %s (%s)", s.Path, p.Stages[m.stage].Made(m.out.Path), m.out.Place).
				Hinted("put it outside of the source's directory")
		}
		x.above(s.Path, report)
		x.below(s.Path, report)
	}
}
