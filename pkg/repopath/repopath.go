// Package repopath is the one strict parser of paths and patterns inside a repository.
//
// Paths come from pipe.yaml, pipe.lock, records in a shared store and the disk. Any of them
// may be hostile, and a path decides what is written where. So every text from outside goes
// through one of the parsers, and whoever takes a Path need not check it again: it is clean,
// stays inside the project, and names nothing inside .git, by git's own rules for file systems
// that fold names.
//
// There are three parsers for three sources. Join takes what a user wrote and cleans it. Parse
// takes what pipe wrote, which must be clean already, so that one file has one name.
// ParseEntry takes names that exist on a disk, which may contain more characters. Conversion
// of a string to a Path is for constants and for parts of a Path; a decoder that fills a Path
// by itself, as encoding/json does, must be followed by a parser.
//
// A Pattern is a glob with the same promises. The form of both is frozen; see FORMAT.md.
package repopath

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/bmatcuk/doublestar/v4"
)

// MaxLen is the longest path in bytes, Linux's PATH_MAX.
const MaxLen = 4096

// ErrBad is what every error of this package wraps.
var ErrBad = errors.New("invalid path")

// Path is a clean slash-separated path relative to the repository's root. It is never
// absolute, has no ".", "..", empty or ".git" element, no NUL and is valid UTF-8. Only one
// that comes from a directory's listing (ParseEntry) may have other control characters or a
// backslash. "." alone is the root. The empty Path stands for none. Paths compare by bytes: nothing
// is folded or normalized.
type Path string

// Root is the repository itself.
const Root Path = "."

// Parse reads a path as it stands in a lock or a record: it must already be clean.
func Parse(s string) (Path, error) { return parse(s, fault(s)) }

// ParseEntry reads the path of a tree's entry, or a name found on a disk: as
// Parse, but with the control characters and backslashes that files may have. A
// backslash separates elements on some systems, so that no ".." or ".git" stands
// beside one.
func ParseEntry(s string) (Path, error) { return parse(s, entryFault(s)) }

// parse accepts a clean path against which why holds nothing. "." is refused: the root is
// never an entry.
func parse(s, why string) (Path, error) {
	if why == "" && (s == "." || path.Clean(s) != s) {
		why = "is not normalized"
	}
	if why != "" {
		return "", bad(s, why)
	}
	return Path(s), nil
}

// Join reads s as a user wrote it, relative to dir, and cleans it: "./a//b/" is a/b. A path
// that leaves the repository is an error. dir is a Path, so the result is checked as a whole:
// a ".." in s may go up as far as the root.
func Join(dir Path, s string) (Path, error) {
	if s == "" {
		return "", bad(s, "is empty")
	}
	if strings.HasPrefix(s, "/") {
		return "", bad(s, "is absolute")
	}
	j := path.Join(string(dir), s)
	if j == "." {
		return Root, nil
	}
	if why := fault(j); why != "" {
		return "", bad(s, why)
	}
	return Path(j), nil
}

// fault says in words what is held against a path; "" is nothing.
func fault(s string) string {
	for i := range len(s) {
		switch c := s[i]; {
		case c < 0x20 || c == 0x7f:
			return "contains a control character"
		case c == '\\':
			return "contains a backslash"
		}
	}
	return entryFault(s)
}

// entryFault is fault for what a disk may hold. It runs for every file of a project, so it
// looks at each element in place.
func entryFault(s string) string {
	switch {
	case s == "":
		return "is empty"
	case len(s) > MaxLen:
		return "is too long"
	case s[0] == '/':
		return "is absolute"
	case strings.IndexByte(s, 0) >= 0:
		return "contains NUL"
	case !utf8.ValidString(s):
		return "is not valid UTF-8"
	}
	for rest := s; rest != ""; {
		elem := rest
		if i := strings.IndexAny(rest, `/\`); i >= 0 {
			elem, rest = rest[:i], rest[i+1:]
		} else {
			rest = ""
		}
		if elem == ".." {
			return "is outside the project (the directory of pipe.yaml)"
		}
		if len(elem) >= 4 && isDotGit(elem) {
			return "is inside .git"
		}
	}
	return ""
}

// isDotGit follows git's own list (verify_path and is_hfs_dotgit, is_ntfs_dotgit):
// case, trailing dots and spaces, git~1, and code points that HFS+ ignores.
func isDotGit(elem string) bool {
	e := strings.Map(func(r rune) rune {
		switch {
		case r >= 0x200c && r <= 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x206a && r <= 0x206f, r == 0xfeff:
			return -1
		}
		return r
	}, elem)
	e, _, _ = strings.Cut(e, ":") // NTFS streams: .git::$INDEX_ALLOCATION
	e = strings.TrimRight(e, ". ")
	return strings.EqualFold(e, ".git") || strings.EqualFold(e, "git~1")
}

// bad returns the error for a path, with a long one cut at a whole character.
func bad(s, why string) error {
	if len(s) > 100 {
		s = strings.ToValidUTF8(s[:100], "") + "..."
	}
	return fmt.Errorf("%w: %q %s", ErrBad, s, why)
}

// String returns the path.
func (p Path) String() string { return string(p) }

// Base returns the last element.
func (p Path) Base() string { return path.Base(string(p)) }

// IsGit reports whether the last element is .git, in any case: a repository's own
// directory, or the file that stands for it.
func (p Path) IsGit() bool {
	i := len(p) - len(".git")
	return i >= 0 && (i == 0 || p[i-1] == '/') && strings.EqualFold(string(p[i:]), ".git")
}

// Dir returns the path without its last element, Root at the top.
func (p Path) Dir() Path { return Path(path.Dir(string(p))) }

// Child returns the path of name inside p. name is one that ParseEntry accepts. Nothing is
// checked again, as this is called for each file of each directory.
func (p Path) Child(name string) Path {
	if p == Root {
		return Path(name)
	}
	return Path(string(p) + "/" + name)
}

// Holds reports whether q is p or lies inside it. It compares whole elements: a holds a/b and
// not ab.
func (p Path) Holds(q Path) bool {
	if p == Root || p == q {
		return true
	}
	return len(q) > len(p) && q[len(p)] == '/' && q[:len(p)] == p
}

// Rel returns q relative to p, which Holds it; Root when they are equal.
func (p Path) Rel(q Path) Path {
	switch {
	case p == Root:
		return q
	case p == q:
		return Root
	}
	return q[len(p)+1:]
}

// FromOS returns the repository path of a file system path that is relative to the root.
func FromOS(rel string) (Path, error) { return Join(Root, toSlash(rel)) }

// Pattern is a glob relative to the repository's root: *, ?, [class], {a,b} and ** across directories.
type Pattern string

// Bounds on a pattern's braces: matching tries every combination of them.
const (
	maxBraces = 4
	maxCommas = 32
)

// JoinPattern reads a glob as a user wrote it, relative to dir; one with a slash
// at its end names all that is inside. dir is taken literally. There is no
// escape character: [*] matches a star.
func JoinPattern(dir Path, s string) (Pattern, error) {
	switch {
	case s == "":
		return "", bad(s, "is empty")
	case s[0] == '/':
		return "", bad(s, "is absolute")
	case strings.Count(s, "{") > maxBraces || strings.Count(s, ",") > maxCommas:
		return "", bad(s, "has too many alternatives")
	}
	j := path.Join(literal.Replace(string(dir)), s)
	if strings.HasSuffix(s, "/") {
		j = path.Join(j, "**")
	}
	if j == "." {
		return "", bad(s, "matches the whole directory")
	}
	if why := fault(j); why != "" {
		return "", bad(s, why)
	}
	for _, piece := range strings.FieldsFunc(j, func(r rune) bool { return strings.ContainsRune("/{},", r) }) {
		if piece == ".." {
			return "", bad(s, "is outside the project (the directory of pipe.yaml)")
		}
		if isDotGit(piece) {
			return "", bad(s, "is inside .git")
		}
	}
	if !doublestar.ValidatePattern(j) {
		return "", bad(s, "is not a valid glob")
	}
	return Pattern(j), nil
}

// literal writes a path as the glob that matches it alone. A class is the only way, since
// patterns have no escape character.
var literal = strings.NewReplacer("*", "[*]", "?", "[?]", "[", "[[]", "{", "[{]", "}", "[}]")

// HasMeta reports whether s is a glob rather than a plain path.
func HasMeta(s string) bool { return strings.ContainsAny(s, "*?[{") }

// Match reports whether the pattern names q. No pattern names the root, though
// its "." would fit into ".*".
func (g Pattern) Match(q Path) bool {
	return q != Root && doublestar.MatchUnvalidated(string(g), string(q))
}

// MatchAbove reports whether the pattern names q or a directory that holds it.
func (g Pattern) MatchAbove(q Path) bool {
	for ; q != Root && q != ""; q = q.Dir() {
		if g.Match(q) {
			return true
		}
	}
	return false
}

// Base returns the deepest directory that holds everything the pattern can name. Only the
// files below it are looked at for a match.
func (g Pattern) Base() Path {
	base, _ := doublestar.SplitPattern(string(g))
	return Path(base)
}

// Rel returns the pattern relative to dir; false: its fixed part does not lie inside dir.
func (g Pattern) Rel(dir Path) (Pattern, bool) {
	rest, ok := strings.CutPrefix(string(g), literal.Replace(string(dir))+"/")
	return Pattern(rest), ok
}

// Reaches reports whether the pattern may name something inside dir. It errs on the side of yes,
// for braces and classes that may span directories.
func (g Pattern) Reaches(dir Path) bool {
	elems := strings.Split(string(g), "/")
	for i, name := range strings.Split(string(dir), "/") {
		if i == len(elems) {
			return false
		}
		if spans(elems[i]) {
			return true
		}
		if !doublestar.MatchUnvalidated(elems[i], name) {
			return false
		}
	}
	return len(elems) > strings.Count(string(dir), "/")+1
}

// spans reports whether a piece of a pattern between slashes may match more than one element of a
// path: it has **, is a part of braces, or has a class that a slash may be in.
func spans(piece string) bool {
	for i := 1; i+1 < len(piece); i++ {
		if piece[i] == '-' && piece[i-1] <= '/' && piece[i+1] >= '/' {
			return true
		}
	}
	return strings.Contains(piece, "**") || strings.Contains(piece, "[!") || strings.Contains(piece, "[^") ||
		strings.Count(piece, "{") != strings.Count(piece, "}") || strings.Count(piece, "[") != strings.Count(piece, "]")
}

// String returns the pattern.
func (g Pattern) String() string { return string(g) }
