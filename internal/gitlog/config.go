package gitlog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// environ is an environment in the form of os.Environ; the last of a name wins.
type environ []string

func (e environ) lookup(name string) (string, bool) {
	for i := len(e) - 1; i >= 0; i-- {
		if k, v, ok := strings.Cut(e[i], "="); ok && k == name {
			return v, true
		}
	}
	return "", false
}

func (e environ) get(name string) string {
	v, _ := e.lookup(name)
	return v
}

func (e environ) home() string {
	if h := e.get("HOME"); h != "" || runtime.GOOS != "windows" {
		return h
	}
	return e.get("USERPROFILE")
}

// setting is one line of a git configuration; section and name are in lower case.
type setting struct{ key, value string }

type settings []setting

// get returns the last value of key, as git does.
func (s settings) get(key string) (string, bool) {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i].key == key {
			return s[i].value, true
		}
	}
	return "", false
}

func (s settings) isTrue(key string) bool {
	v, ok := s.get(key)
	return ok && isTrue(v)
}

func isTrue(v string) bool {
	switch strings.ToLower(v) {
	case "true", "yes", "on":
		return true
	}
	n, err := strconv.Atoi(v)
	return err == nil && n != 0
}

// allSettings returns what holds for the repository: the machine's, the user's,
// its own and the environment's. An includeIf is followed only by the git program.
func (r *Repo) allSettings() (settings, error) {
	files := []string{r.env.get("GIT_CONFIG_SYSTEM")}
	if files[0] == "" {
		files[0] = "/etc/gitconfig"
	}
	if isTrue(r.env.get("GIT_CONFIG_NOSYSTEM")) {
		files = nil
	}
	if global, ok := r.env.lookup("GIT_CONFIG_GLOBAL"); ok {
		files = append(files, global)
	} else {
		files = append(files, filepath.Join(r.env.configHome(), "git", "config"), filepath.Join(r.env.home(), ".gitconfig"))
	}
	var all settings
	for _, f := range files {
		if f == "" {
			continue
		}
		s, err := readSettings(f, r.env.home())
		if err != nil {
			return nil, err
		}
		all = append(all, s...)
	}
	all = append(all, r.conf...)
	n, _ := strconv.Atoi(r.env.get("GIT_CONFIG_COUNT"))
	for i := range n {
		key := r.env.get("GIT_CONFIG_KEY_" + strconv.Itoa(i))
		all = append(all, setting{foldKey(key), r.env.get("GIT_CONFIG_VALUE_" + strconv.Itoa(i))})
	}
	return all, nil
}

func (e environ) configHome() string {
	if d := e.get("XDG_CONFIG_HOME"); d != "" {
		return d
	}
	return filepath.Join(e.home(), ".config")
}

// foldKey lowers section and name, not the subsection between them.
func foldKey(key string) string {
	i, j := strings.IndexByte(key, '.'), strings.LastIndexByte(key, '.')
	if i < 0 {
		return strings.ToLower(key)
	}
	return strings.ToLower(key[:i]) + key[i:j] + strings.ToLower(key[j:])
}

// readSettings reads a configuration file and what it includes; one that is absent is empty.
func readSettings(file, home string) (settings, error) { return readIncluding(file, home, 10) }

// readIncluding stops at a depth of includes, as git does, against loops.
func readIncluding(file, home string, depth int) (settings, error) {
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || depth == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read git's configuration: %w", err)
	}
	p := configParser{text: strings.TrimPrefix(string(b), "\ufeff")}
	own, err := p.parse()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	var all settings
	for _, s := range own {
		all = append(all, s)
		if s.key == "include.path" {
			more, err := readIncluding(under(filepath.Dir(file), expandHome(s.value, home)), home, depth-1)
			if err != nil {
				return nil, err
			}
			all = append(all, more...)
		}
	}
	return all, nil
}

func expandHome(path, home string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok && home != "" {
		return filepath.Join(home, rest)
	}
	return path
}

// configParser reads the syntax of git-config(1).
type configParser struct {
	text    string
	section string
}

func (p *configParser) parse() (settings, error) {
	var all settings
	for p.skipBlank(); p.text != ""; p.skipBlank() {
		if p.text[0] == '[' {
			if err := p.header(); err != nil {
				return nil, err
			}
			continue
		}
		n := strings.IndexFunc(p.text, func(c rune) bool {
			return c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z')
		})
		if n < 0 {
			n = len(p.text)
		}
		if n == 0 || p.section == "" {
			line, _, _ := strings.Cut(p.text, "\n")
			return nil, fmt.Errorf("bad line in git's configuration: %q", line)
		}
		name := strings.ToLower(p.text[:n])
		p.text = strings.TrimLeft(p.text[n:], " \t")
		value := "true" // a name alone
		if rest, ok := strings.CutPrefix(p.text, "="); ok {
			p.text = rest
			value = p.value()
		}
		all = append(all, setting{p.section + "." + name, value})
	}
	return all, nil
}

// skipBlank moves on to the next thing that is no space or comment.
func (p *configParser) skipBlank() {
	for {
		p.text = strings.TrimLeft(p.text, " \t\r\n")
		if p.text == "" || p.text[0] != '#' && p.text[0] != ';' {
			return
		}
		_, p.text, _ = strings.Cut(p.text, "\n")
	}
}

// header reads [section], [section "subsection"] or the old [section.subsection].
func (p *configParser) header() error {
	end := strings.IndexAny(p.text, "]\"\n")
	if end < 0 || p.text[end] == '\n' {
		return errors.New("a section of git's configuration has no end")
	}
	p.section = strings.ToLower(strings.TrimSpace(p.text[1:end]))
	if p.text[end] == ']' {
		p.text = p.text[end+1:]
		return nil
	}
	var sub strings.Builder
	i := end + 1
	for ; i < len(p.text) && p.text[i] != '"' && p.text[i] != '\n'; i++ {
		if p.text[i] == '\\' && i+1 < len(p.text) {
			i++
		}
		sub.WriteByte(p.text[i])
	}
	if !strings.HasPrefix(p.text[min(i, len(p.text)):], `"]`) {
		return errors.New("a section of git's configuration has no end")
	}
	p.section += "." + sub.String()
	p.text = p.text[i+2:]
	return nil
}

// value reads up to the end of the line: quotes, escapes, continuations, comments.
func (p *configParser) value() string {
	var out strings.Builder
	keep, quoted := 0, false // keep: up to there trailing space is wanted
	i := 0
	for p.text = strings.TrimLeft(p.text, " \t"); i < len(p.text); i++ {
		c := p.text[i]
		switch {
		case c == '\n', !quoted && (c == '#' || c == ';'):
			p.text = p.text[i:]
			return out.String()[:keep]
		case c == '"':
			quoted = !quoted
			keep = out.Len()
			continue
		case c == '\\' && i+1 < len(p.text):
			i++
			if p.text[i] == '\r' && i+1 < len(p.text) && p.text[i+1] == '\n' {
				i++
			}
			if p.text[i] == '\n' {
				continue
			}
			c = unescape(p.text[i])
		case !quoted && (c == ' ' || c == '\t' || c == '\r'):
			out.WriteByte(c)
			continue
		}
		out.WriteByte(c)
		keep = out.Len()
	}
	p.text = ""
	return out.String()[:keep]
}

func unescape(c byte) byte {
	switch c {
	case 'n':
		return '\n'
	case 't':
		return '\t'
	case 'b':
		return '\b'
	}
	return c
}
