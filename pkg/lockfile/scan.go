package lockfile

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/pipe-build/pipe/internal/yamldoc"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// scan reads exactly what Encode writes, in one pass and almost without
// allocation; it says false to anything else, and the YAML reader takes over.
// It is some 18 times as fast as the YAML reader: BenchmarkParse.
func scan(text string) (*File, bool) {
	s := &scanner{rest: text, ok: true}
	s.eat(banner)
	s.eat("schema: 1\nstages:")
	f := &File{}
	if s.ok && s.rest == " {}\n" {
		return f, true
	}
	s.eat("\n")
	if !s.ok || s.rest == "" {
		return nil, false
	}
	f.Stages = make([]Stage, 0, strings.Count(text, "\n  # begin "))
	for s.ok && s.rest != "" {
		f.Stages = append(f.Stages, s.stage())
		if n := len(f.Stages); n > 1 && f.Stages[n-2].Name >= f.Stages[n-1].Name {
			return nil, false
		}
	}
	return f, s.ok
}

type scanner struct {
	rest string
	ok   bool
}

// has eats word when it comes next.
func (s *scanner) has(word string) bool {
	rest, ok := strings.CutPrefix(s.rest, word)
	if ok && s.ok {
		s.rest = rest
		return true
	}
	return false
}

func (s *scanner) eat(word string) { s.ok = s.has(word) && s.ok }

// until returns what comes before the first of stop, which stays.
func (s *scanner) until(stop string) string {
	i := strings.IndexAny(s.rest, stop)
	if i < 0 {
		s.ok = false
		return ""
	}
	word := s.rest[:i]
	s.rest = s.rest[i:]
	return word
}

func (s *scanner) scalar() string {
	if !strings.HasPrefix(s.rest, `"`) {
		w := s.until(",}\n:")
		s.ok = s.ok && isPlain(w)
		return w
	}
	i := 1
	for i < len(s.rest) && s.rest[i] != '"' && s.rest[i] != '\n' {
		if s.rest[i] == '\\' {
			i++
		}
		i++
	}
	if i >= len(s.rest) {
		s.ok = false
		return ""
	}
	quoted := s.rest[:i+1]
	s.rest = s.rest[i+1:]
	if bare(quoted) {
		return quoted[1:i]
	}
	// JSON and YAML differ in surrogate pairs, in U+2028 and more; what Quote
	// writes means the same in both.
	var w string
	s.ok = s.ok && json.Unmarshal([]byte(quoted), &w) == nil && yamldoc.Quote(w) == quoted
	return w
}

// bare says of almost every text that it stands for itself between quotes.
func bare(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '\\' {
			return false
		}
	}
	return true
}

// maxName is shorter than the longest key that YAML takes on one line (1,024 characters).
const maxName = 1000

// name is a stage's name as it stands in a comment: one that needs no escape.
func (s *scanner) name() string {
	w := s.until("\n")
	plain := bare(w) && !strings.Contains(w, `"`)
	s.ok = s.ok && len(w) <= maxName && (plain || yamldoc.Quote(w) == `"`+w+`"`)
	return w
}

func (s *scanner) digest() (d digest.Digest) {
	s.eat(digest.Prefix)
	if len(s.rest) < 64 || !s.ok {
		s.ok = false
		return d
	}
	d, err := digest.ParseHex(s.rest[:64])
	s.rest, s.ok = s.rest[64:], err == nil
	return d
}

func (s *scanner) number() int64 {
	w := s.until(",}\n")
	n, err := strconv.ParseInt(w, 10, 64)
	if err != nil || strconv.FormatInt(n, 10) != w || n < 0 {
		s.ok = false
	}
	return n
}

func (s *scanner) path() repopath.Path {
	p, err := repopath.Parse(s.scalar())
	s.ok = s.ok && err == nil
	return p
}

func (s *scanner) stage() (st Stage) {
	s.eat("  # begin ")
	st.Name = s.name()
	s.eat("\n  ")
	if s.scalar() != st.Name {
		s.ok = false
	}
	s.eat(":\n    key: ")
	st.Key = s.key()
	if s.has("    generation: ") {
		st.Generation = int(s.number())
		s.ok = s.ok && st.Generation > 0
		s.eat("\n")
	}
	s.eat("    cmd: ")
	st.Cmd = s.digest()
	s.eat("\n")
	st.Deps = items(s, "    deps:\n", (*scanner).dep)
	st.Params = items(s, "    params:\n", (*scanner).param)
	st.Env = items(s, "    env:\n", (*scanner).env)
	st.Outs = items(s, "    outs:\n", (*scanner).out)
	s.eat("  # end ")
	s.eat(st.Name)
	s.eat("\n")
	return st
}

func (s *scanner) key() digest.Key {
	w := s.scalar()
	k, err := digest.ParseKey(w)
	s.ok = s.ok && err == nil
	s.eat("\n")
	return k
}

func items[T any](s *scanner, head string, one func(*scanner) T) (out []T) {
	if !s.has(head) {
		return nil
	}
	for s.has("      - {") {
		out = append(out, one(s))
		s.eat("}\n")
	}
	s.ok = s.ok && len(out) > 0
	return out
}

func (s *scanner) dep() (d artifact.Input) {
	s.eat("path: ")
	p := s.scalar()
	if s.has(", kind: ") {
		d.Kind = artifact.Kind(s.until(",}\n"))
		s.ok = s.ok && (d.Kind == artifact.Dir || d.Kind == artifact.Glob)
	}
	var ok bool
	d.Path, ok = depPath(p, d.Kind)
	s.ok = s.ok && ok
	d.Exec, d.Digest, d.Size, d.Files = s.common()
	if s.has(", in: ") {
		d.In = s.digest()
	}
	return d
}

// depPath checks a dep's path: a directory may be the root, a glob is no plain path.
func depPath(s string, kind artifact.Kind) (repopath.Path, bool) {
	switch {
	case kind == artifact.Glob:
		g, err := repopath.JoinPattern(repopath.Root, s)
		return repopath.Path(s), err == nil && string(g) == s
	case kind == artifact.Dir && s == string(repopath.Root):
		return repopath.Root, true
	}
	p, err := repopath.Parse(s)
	return p, err == nil
}

func (s *scanner) out() (o artifact.Output) {
	s.eat("path: ")
	o.Path = s.path()
	o.Dir = s.has(", kind: dir")
	o.Exec, o.Digest, o.Size, o.Files = s.common()
	return o
}

func (s *scanner) common() (exec bool, hash digest.Digest, size, files int64) {
	exec = s.has(", exec: true")
	s.eat(", hash: ")
	hash = s.digest()
	s.eat(", size: ")
	size = s.number()
	if s.has(", files: ") {
		files = s.number()
		s.ok = s.ok && files > 0
	}
	return exec, hash, size, files
}

func (s *scanner) param() (p Param) {
	s.eat("file: ")
	p.File = s.path()
	if s.has(", key: ") {
		p.Key = s.scalar()
	}
	s.eat(", value: ")
	p.Value = s.scalar()
	return p
}

func (s *scanner) env() (e Env) {
	s.eat("name: ")
	e.Name = s.scalar()
	if s.has(", hash: ") {
		e.Hash = s.scalar()
		return e
	}
	s.eat(", value: ")
	e.Value = s.scalar()
	return e
}
