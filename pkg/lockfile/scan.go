package lockfile

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/pipe-build/pipe/internal/yamldoc"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// scan reads the lines of a block between its begin and its sum, in one pass and
// almost without allocation: exactly what Encode writes, and fields beginning
// with x- in their places. It says false to anything else.
func scan(name, text string) (Stage, bool) {
	s := &scanner{stage: name, rest: text, ok: true}
	st := Stage{Name: name}
	s.eat("  ")
	s.ok = s.scalar() == name && s.ok
	s.eat(":\n    key: ")
	st.Key = s.key()
	if s.has("    generation: ") {
		n := s.number()
		st.Generation = int(n)
		s.ok = s.ok && n > 0 && n <= artifact.MaxGeneration
		s.eat("\n")
	}
	s.eat("    cmd: ")
	st.Cmd = s.digest()
	s.eat("\n")
	st.Deps = items(s, "    deps: # ", depOrder, (*scanner).dep)
	st.Tools = items(s, "    tools: # ", toolOrder, (*scanner).tool)
	st.Images = items(s, "    images: # ", namedOrder, func(s *scanner) artifact.Named { return s.named(artifact.Named.CheckImage) })
	st.URLs = items(s, "    urls: # ", namedOrder, func(s *scanner) artifact.Named { return s.named(artifact.Named.CheckURL) })
	st.Params = items(s, "    params: # ", paramOrder, (*scanner).param)
	st.Env = items(s, "    env: # ", envOrder, (*scanner).env)
	st.Outs = items(s, "    outs: # ", outOrder, (*scanner).out)
	s.extraLines()
	if s.extra {
		st.raw = text
	}
	return st, s.ok && s.rest == ""
}

type scanner struct {
	stage string
	rest  string
	ok    bool
	extra bool // met a field beginning with x-
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

// until returns what comes before the first of stop, which stays. Nothing comes
// before one that is not there: no caller takes an empty word.
func (s *scanner) until(stop string) string {
	i := max(strings.IndexAny(s.rest, stop), 0)
	word := s.rest[:i]
	s.rest = s.rest[i:]
	return word
}

// scalar reads a text that stands bare where it can.
func (s *scanner) scalar() string {
	if strings.HasPrefix(s.rest, `"`) {
		w := s.quoted()
		s.ok = s.ok && w != "" && !isPlain(w)
		return w
	}
	w := s.until(",}\n:")
	s.ok = s.ok && isPlain(w)
	return w
}

// quoted reads a text that is always in quotes.
func (s *scanner) quoted() string {
	n := quotedLen(s.rest)
	if n == 0 {
		s.ok = false
		return ""
	}
	quoted := s.rest[:n]
	s.rest = s.rest[n:]
	if bare(quoted) {
		return quoted[1 : n-1]
	}
	// JSON has several ways to write a text; Quote is the one.
	var w string
	s.ok = s.ok && json.Unmarshal([]byte(quoted), &w) == nil && yamldoc.Quote(w) == quoted
	return w
}

// quotedLen returns how long the quoted text is with which s begins, 0 when there is none.
func quotedLen(s string) int {
	if !strings.HasPrefix(s, `"`) {
		return 0
	}
	for i := 1; i < len(s) && s[i] != '\n'; i++ {
		switch s[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
	return 0
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

func (s *scanner) key() digest.Key {
	k, err := digest.ParseKey(s.until("\n"))
	s.ok = s.ok && err == nil
	s.eat("\n")
	return k
}

func items[T any](s *scanner, head string, order func(a, b T) int, one func(*scanner) T) (out []T) {
	if !s.has(head) {
		return nil
	}
	s.mark()
	for s.has("      - {") {
		out = append(out, one(s))
		s.extraFields()
		s.eat("} # ")
		s.mark()
		if n := len(out); n > 1 && order(out[n-2], out[n-1]) >= 0 {
			s.ok = false
		}
	}
	s.ok = s.ok && len(out) > 0
	return out
}

// mark reads the stage's name at the end of a line.
func (s *scanner) mark() {
	s.eat(s.stage)
	s.eat("\n")
}

// extraFields passes over `, x-name: scalar` at the end of an item, sorted by name.
func (s *scanner) extraFields() {
	for last := ""; s.has(", x-"); s.extra = true {
		name := s.until(":,}\n")
		s.ok = s.ok && isField(name) && name > last
		last = name
		s.eat(": ")
		if strings.HasPrefix(s.rest, `"`) {
			s.quoted()
			continue
		}
		word := s.until(",}\n")
		s.ok = s.ok && word != "" && strings.Trim(word, bareChars) == ""
	}
}

// bareChars are those of a bare value of a field beginning with x-.
const bareChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_/.:+-"

// extraLines passes over `    x-name:` and the lines below it, sorted by name.
func (s *scanner) extraLines() {
	for last := ""; s.has("    x-"); s.extra = true {
		from := s.rest
		name := s.until(":\n")
		s.ok = s.ok && isField(name) && name > last
		last = name
		s.eat(":")
		s.until("\n")
		for s.has("\n      ") {
			s.until("\n")
		}
		all := from[:len(from)-len(s.rest)]
		s.ok = s.ok && utf8.ValidString(all) && !strings.ContainsFunc(all, func(r rune) bool { return r < ' ' && r != '\n' || r == 0x7f })
		s.eat("\n")
	}
}

// isField reports whether s can be the name of a field, now or later: lower-case
// letters, digits, _ and -.
func isField(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_-") == ""
}

func (s *scanner) dep() (d artifact.Input) {
	s.eat("path: ")
	d.Path = repopath.Path(s.scalar())
	if s.has(", kind: ") {
		d.Kind = artifact.Kind(s.until(",}\n"))
		s.ok = s.ok && d.Kind != artifact.OneFile
	}
	d.Exec, d.Digest, d.Size, d.Files = s.common()
	if s.has(", in: ") {
		d.In = s.digest()
		s.ok = s.ok && !d.In.IsZero()
	}
	s.ok = s.ok && d.Check() == nil
	return d
}

func (s *scanner) out() (o artifact.Output) {
	s.eat("path: ")
	o.Path = repopath.Path(s.scalar())
	o.Dir = s.has(", kind: dir")
	o.Exec, o.Digest, o.Size, o.Files = s.common()
	if s.has(", sha256: ") {
		o.SHA256 = s.until(",}\n")
		s.ok = s.ok && o.SHA256 != ""
	}
	s.ok = s.ok && o.Check() == nil
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

func (s *scanner) tool() (t artifact.Tool) {
	s.eat("cmd: ")
	t.Cmd = s.scalar()
	s.eat(", hash: ")
	t.Digest = s.digest()
	s.eat(", size: ")
	t.Size = s.number()
	if s.has(", line: ") {
		t.Line = s.quoted()
		s.ok = s.ok && t.Line != ""
	}
	s.ok = s.ok && t.Check() == nil
	return t
}

// named reads what a name stood for; check says which answers there are.
func (s *scanner) named(check func(artifact.Named) error) (n artifact.Named) {
	s.eat("name: ")
	n.Name = s.scalar()
	s.eat(", answer: ")
	n.Answer = s.quoted()
	s.ok = s.ok && check(n) == nil
	return n
}

func (s *scanner) param() (p Param) {
	s.eat("file: ")
	p.File = s.path()
	if s.has(", key: ") {
		p.Key = s.scalar()
	}
	if s.has(", hash: ") {
		p.Hash = s.digest()
		s.ok = s.ok && !p.Hash.IsZero()
		return p
	}
	s.eat(", value: ")
	p.Value = s.quoted()
	return p
}

func (s *scanner) env() (e Env) {
	s.eat("name: ")
	e.Name = s.scalar()
	if s.has(", hash: ") {
		e.Hash = s.quoted()
		s.ok = s.ok && e.Hash != ""
		return e
	}
	s.eat(", value: ")
	e.Value = s.quoted()
	return e
}
