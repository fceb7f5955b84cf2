package ignore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
)

// config is git's configuration: the last value of each key, whose section and
// name are in lower case. It is read here and not asked of the git program:
// every command needs it, and starting git takes longer than reading a few
// small files. An includeIf is not followed, nor is what git -c hands to the
// programs that it starts (GIT_CONFIG_PARAMETERS). No setting that is looked at here
// has more than one value, except include.path, which read follows at once.
type config struct {
	values map[string]string
	env    []string
}

// config returns what holds for the repository: the machine's settings, the
// user's, its own and the environment's. They are read in that order, as
// git-config(1) says under FILES and ENVIRONMENT, and a later value replaces an
// earlier one.
func (r Repo) config() (*config, error) {
	c := &config{values: map[string]string{}, env: r.Env}
	var files []string
	if on, _ := c.lookup("GIT_CONFIG_NOSYSTEM"); !isTrue(on) {
		system, ok := c.lookup("GIT_CONFIG_SYSTEM")
		if !ok || system == "" {
			system = "/etc/gitconfig"
		}
		files = append(files, system)
	}
	if global, ok := c.lookup("GIT_CONFIG_GLOBAL"); ok {
		files = append(files, global)
	} else {
		files = append(files, filepath.Join(c.home(), "git", "config"), c.expand("~/.gitconfig"))
	}
	for _, f := range append(files, filepath.Join(r.CommonDir, "config")) {
		if err := c.read(f, 10); err != nil {
			return nil, err
		}
	}
	if isTrue(c.values["extensions.worktreeconfig"]) {
		if err := c.read(filepath.Join(r.GitDir, "config.worktree"), 10); err != nil {
			return nil, err
		}
	}
	count, _ := c.lookup("GIT_CONFIG_COUNT")
	n, _ := strconv.Atoi(count)
	for i := range n {
		key, _ := c.lookup("GIT_CONFIG_KEY_" + strconv.Itoa(i))
		c.values[strings.ToLower(key)], _ = c.lookup("GIT_CONFIG_VALUE_" + strconv.Itoa(i))
	}
	return c, nil
}

// isTrue reads a boolean as git-config(1) does; what is none counts as false.
func isTrue(v string) bool {
	switch strings.ToLower(v) {
	case "true", "yes", "on":
		return true
	}
	n, err := strconv.Atoi(v)
	return err == nil && n != 0
}

// lookup returns a variable of the environment, where the last one of a name counts.
func (c *config) lookup(name string) (string, bool) {
	for i := len(c.env) - 1; i >= 0; i-- {
		if v, ok := strings.CutPrefix(c.env[i], name+"="); ok {
			return v, true
		}
	}
	return "", false
}

// home returns the directory of the user's configuration files, by the XDG rule.
func (c *config) home() string {
	if d, _ := c.lookup("XDG_CONFIG_HOME"); d != "" {
		return d
	}
	return c.expand("~/.config")
}

// expand replaces the ~/ that a path may begin with. HOME goes first also on
// Windows. The form ~user/ is not known.
func (c *config) expand(path string) string {
	home, _ := c.lookup("HOME")
	if home == "" && runtime.GOOS == "windows" {
		home, _ = c.lookup("USERPROFILE")
	}
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		return filepath.Join(home, rest)
	}
	return filepath.FromSlash(path)
}

// read adds a file and what it includes, at the place of the include, to a depth where
// git stops, too (10). A file that is absent or may not be read is empty.
// A relative include is relative to the file that names it.
func (c *config) read(file string, depth int) error {
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || file == "" || depth == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the git configuration: %w", err)
	}
	err = parseConfig(strings.TrimPrefix(string(b), "\ufeff"), func(key, value string) error {
		c.values[key] = value
		if key != "include.path" {
			return nil
		}
		return c.read(under(filepath.Dir(file), c.expand(value)), depth-1)
	})
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

var (
	// [section] and [section "sub section"]; what follows on the line is a setting.
	sectionLine = regexp.MustCompile(`^\[([-.0-9A-Za-z]+)([ \t]+"(?:[^"\\\n]|\\.)*")?[ \t]*\]`)
	settingLine = regexp.MustCompile(`^([A-Za-z][-0-9A-Za-z]*)[ \t]*(=?)`)
)

// parseConfig reads the syntax of git-config(1) and passes on every setting, its
// key as "section.name". A subsection stays in the key as it stands, with its quotes:
// no caller asks for one, and so it can never be taken for a plain section. Carriage
// returns before a newline do not count.
func parseConfig(text string, set func(key, value string) error) error {
	section := ""
	text = strings.ReplaceAll(text, "\r\n", "\n")
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimLeft(text, " \t\n") {
		if text[0] == '#' || text[0] == ';' {
			_, text, _ = strings.Cut(text, "\n")
			continue
		}
		if m := sectionLine.FindStringSubmatch(text); m != nil {
			section, text = strings.ToLower(m[1])+m[2], text[len(m[0]):]
			continue
		}
		m := settingLine.FindStringSubmatch(text)
		if m == nil || section == "" {
			line, _, _ := strings.Cut(text, "\n")
			return fmt.Errorf("invalid line in the git configuration: %q", line)
		}
		text = text[len(m[0]):]
		value := "true" // a name alone
		if m[2] != "" {
			value, text = configValue(text)
		}
		if err := set(section+"."+strings.ToLower(m[1]), value); err != nil {
			return err
		}
	}
	return nil
}

// configValue reads up to the end of the line: quotes, escapes, continuations, comments.
// Space inside the value stays; space at its ends goes, unless it is quoted. A newline
// ends the value even inside quotes, where git reports an error.
func configValue(text string) (value, rest string) {
	var out strings.Builder
	keep, quoted := 0, false // keep: up to there trailing space is wanted
	text = strings.TrimLeft(text, " \t")
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\n', !quoted && (c == '#' || c == ';'):
			return out.String()[:keep], text[i:]
		case c == '"':
			quoted = !quoted
			keep = out.Len()
			continue
		case c == '\\' && i+1 < len(text):
			i++
			if text[i] == '\n' {
				continue
			}
			if c = text[i]; strings.IndexByte("ntb", c) >= 0 {
				c = map[byte]byte{'n': '\n', 't': '\t', 'b': '\b'}[c]
			}
		case !quoted && (c == ' ' || c == '\t'):
			out.WriteByte(c)
			continue
		}
		out.WriteByte(c)
		keep = out.Len()
	}
	return out.String()[:keep], ""
}

// under returns name as seen from dir.
func under(dir, name string) string {
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	return filepath.Join(dir, name)
}
