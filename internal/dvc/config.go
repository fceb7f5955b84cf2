package dvc

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/diag"
)

// Remote is a remote of DVC's configuration.
type Remote struct {
	Name    string
	URL     string // scheme://..., or an absolute directory
	Options map[string]string
	Place   string // the file that names its URL
	// Text is a directory as it should stand in a file beside .dvc: relative to that directory where it
	// is so in the configuration.
	Text string
}

// Scheme returns what stands before ://, "" for a directory.
func (r *Remote) Scheme() string {
	scheme, _, ok := strings.Cut(r.URL, "://")
	if !ok {
		return ""
	}
	return scheme
}

// secrets are the options that hold credentials. They stay where they are.
var secrets = []string{"access_key_id", "secret_access_key", "session_token", "password", "token", "sas_token", "account_key", "connection_string", "client_secret"}

// Secrets returns the names of the options that hold credentials, sorted.
func (r *Remote) Secrets() (names []string) {
	for name := range r.Options {
		if slices.Contains(secrets, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Config is DVC's configuration of a repository.
type Config struct {
	Remotes []Remote // in the order of the files
	Default string   // the name of the one that is used; empty: none
	Cache   string   // the cache's directory, absolute
	Parsing map[string]string
}

// UserFiles names DVC's files of configuration beside a repository's: that of the machine, then that of the user. goos is
// a name of runtime.GOOS, and env returns a variable, "" when it is not set. Where they are by themselves, DVC
// asks the Python package platformdirs.
func UserFiles(goos string, env func(name string) string) (files []string) {
	const app = "dvc"
	below := func(dir string, names ...string) string {
		if dir == "" {
			return ""
		}
		return filepath.Join(append([]string{dir}, names...)...)
	}
	first, _, _ := strings.Cut(env("XDG_CONFIG_DIRS"), ":")
	machine, user := below(cmp.Or(first, "/etc/xdg"), app), cmp.Or(below(env("XDG_CONFIG_HOME"), app), below(env("HOME"), ".config", app))
	switch goos {
	case "windows":
		machine, user = below(env("ProgramData"), "iterative", app), below(env("LOCALAPPDATA"), "iterative", app)
	case "darwin":
		const support = "Library/Application Support"
		machine, user = below(cmp.Or(first, "/"+support), app), cmp.Or(below(env("XDG_CONFIG_HOME"), app), below(env("HOME"), support, app))
	}
	for _, dir := range []string{
		cmp.Or(env("DVC_SYSTEM_CONFIG_DIR"), machine),
		cmp.Or(env("DVC_GLOBAL_CONFIG_DIR"), user),
	} {
		if dir != "" {
			files = append(files, filepath.Join(dir, "config"))
		}
	}
	return files
}

// ReadConfig reads the configuration of the repository at root: .dvc/config, and over it
// .dvc/config.local. What others says, DVC's files of the user and of the machine, counts less than both.
func ReadConfig(root string, others ...string) (*Config, error) {
	c := &Config{Cache: filepath.Join(root, Dir, "cache"), Parsing: map[string]string{}}
	own := filepath.Join(root, Dir)
	for _, file := range append(slices.Clone(others), filepath.Join(own, "config"), filepath.Join(own, "config.local")) {
		b, err := atomicfile.Read(file, atomicfile.MaxNote)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := c.add(file, string(b)); err != nil {
			return nil, err
		}
	}
	for i := range c.Remotes {
		c.resolve(&c.Remotes[i], root)
	}
	return c, nil
}

var (
	sectionForm = regexp.MustCompile(`^\[\s*(.*?)\s*\]\s*(?:[#;].*)?$`)
	remoteForm  = regexp.MustCompile(`^'?remote "(.*)"'?$`)
)

// add reads one file of configuration; what it says replaces what was said before.
func (c *Config) add(file, text string) error {
	var set func(key, value string)
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		if m := sectionForm.FindStringSubmatch(line); m != nil {
			set = c.section(file, m[1])
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok || set == nil {
			return diag.New(diag.Usage, "line %d is not a setting: %s", n, line).At(file).Hinted("dvc config --list")
		}
		set(strings.TrimSpace(key), unquoted(strings.TrimSpace(value)))
	}
	return nil
}

// section returns what takes the settings of a section.
func (c *Config) section(file, name string) func(key, value string) {
	if m := remoteForm.FindStringSubmatch(name); m != nil {
		i := slices.IndexFunc(c.Remotes, func(r Remote) bool { return r.Name == m[1] })
		if i < 0 {
			i = len(c.Remotes)
			c.Remotes = append(c.Remotes, Remote{Name: m[1], Options: map[string]string{}})
		}
		return func(key, value string) {
			if key == "url" {
				c.Remotes[i].URL, c.Remotes[i].Place = value, file
				return
			}
			c.Remotes[i].Options[key] = value
		}
	}
	return func(key, value string) {
		switch {
		case name == "core" && key == "remote":
			c.Default = value
		case name == "cache" && key == "dir":
			c.Cache = absolute(value, filepath.Dir(file))
		case name == "parsing":
			c.Parsing[key] = value
		}
	}
}

// unquoted returns a value without its quotes, or without the comment behind it.
func unquoted(v string) string {
	for _, q := range []string{`"`, `'`} {
		if rest, ok := strings.CutPrefix(v, q); ok {
			if inner, _, ok := strings.Cut(rest, q); ok {
				return inner
			}
		}
	}
	if i := strings.Index(v, " #"); i >= 0 {
		v = v[:i]
	}
	return strings.TrimSpace(v)
}

// absolute returns a directory of a configuration file in dir.
func absolute(path, dir string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			return filepath.Join(home, rest)
		}
	}
	path = filepath.FromSlash(path)
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(dir, path)
}

// resolve finds out where a remote is: remote://NAME/PATH lies in another one, and a directory is relative
// to the file that names it.
func (c *Config) resolve(r *Remote, root string) {
	for range len(c.Remotes) {
		rest, ok := strings.CutPrefix(r.URL, "remote://")
		if !ok {
			break
		}
		name, below, _ := strings.Cut(rest, "/")
		base := c.Remote(name)
		if base == nil {
			break
		}
		r.URL, r.Place = strings.TrimRight(base.URL, "/")+"/"+below, base.Place
		for key, value := range base.Options {
			if _, own := r.Options[key]; !own {
				r.Options[key] = value
			}
		}
	}
	r.URL = strings.TrimPrefix(r.URL, "file://")
	if r.Scheme() != "" || r.URL == "" {
		return
	}
	relative := !filepath.IsAbs(filepath.FromSlash(r.URL)) && !strings.HasPrefix(r.URL, "~/")
	r.URL = absolute(r.URL, filepath.Dir(r.Place))
	r.Text = r.URL
	if rel, err := filepath.Rel(root, r.URL); err == nil && relative {
		r.Text = filepath.ToSlash(rel)
	}
}

// Remote returns the remote of that name, nil when there is none.
func (c *Config) Remote(name string) *Remote {
	for i := range c.Remotes {
		if c.Remotes[i].Name == name {
			return &c.Remotes[i]
		}
	}
	return nil
}
