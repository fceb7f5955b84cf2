// Package artifact is what stages read and make: inputs and outputs, by their hashes.
//
// pipe.lock, records in a store, environments and events all speak of the same things, so
// there is one value for an input and one for an output, with one JSON form. Neither holds
// bytes: they lie in a cache or remote under the digest. A file goes by the digest of its
// bytes; a directory by that of its tree, a canonical list of its files (package object),
// which makes a directory as comparable as a file.
package artifact

import (
	"fmt"
	"strings"

	"github.com/pipe-build/pipe/internal/image"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Output is what a stage made at one path: a file, or a directory by its tree.
type Output struct {
	Path   repopath.Path `json:"path"`             // relative to the project
	Dir    bool          `json:"dir,omitempty"`    // a directory
	Exec   bool          `json:"exec,omitempty"`   // a file's executable bit
	Digest digest.Digest `json:"hash"`             // of the bytes, or of the tree
	Size   int64         `json:"size"`             // bytes; of a directory, of all its files
	Files  int64         `json:"files,omitempty"`  // of a directory: its entries that are not empty directories
	SHA256 string        `json:"sha256,omitempty"` // of a file that asks for it: 64 lower-case hexadecimal digits
}

// Same reports whether two outputs have the same content and mode. The digest decides: the
// size follows from it, and the SHA-256 is there only where somebody asked for it.
func (o Output) Same(p Output) bool {
	return o.Dir == p.Dir && o.Exec == p.Exec && o.Digest == p.Digest
}

// Kind is the sort of an input.
type Kind string

// The kinds of inputs.
const (
	OneFile Kind = ""        // one file
	Dir     Kind = "dir"     // a directory
	Glob    Kind = "glob"    // all files that a pattern names
	TopFile Kind = "top"     // one file outside the project; Path is from the top of its git repository
	TopDir  Kind = "topdir"  // a directory there
	TopGlob Kind = "topglob" // all files there that a pattern names
)

// plain are the kinds inside a project by those outside.
var plain = map[Kind]Kind{TopFile: OneFile, TopDir: Dir, TopGlob: Glob}

// IsTop reports whether the path is from the top of the git repository, and not from the project.
func (k Kind) IsTop() bool { _, is := plain[k]; return is }

// Plain returns the sort alone, wherever the input lies.
func (k Kind) Plain() Kind {
	if p, is := plain[k]; is {
		return p
	}
	return k
}

// Top returns the kind of the same sort outside the project.
func (k Kind) Top() Kind {
	switch k {
	case OneFile:
		return TopFile
	case Dir:
		return TopDir
	case Glob:
		return TopGlob
	}
	return k
}

// AtTop is what names of paths from the top of the git repository begin with, as in git.
const AtTop = ":/"

// Input is the state of one declared input.
type Input struct {
	Path   repopath.Path `json:"path"`            // or the pattern, for Glob
	Kind   Kind          `json:"kind,omitempty"`  // what Path names
	Exec   bool          `json:"exec,omitempty"`  // a file's executable bit
	Digest digest.Digest `json:"hash"`            // of the bytes, or of the list of files
	Size   int64         `json:"size"`            // bytes; of all files
	Files  int64         `json:"files,omitempty"` // of a directory or glob: its entries
	// In is the tree that Path was looked up in when it lies inside a directory
	// that another stage makes: as long as that tree is the same, so is Digest.
	In digest.Digest `json:"in,omitzero"`
}

// Name returns the path or pattern for people. No two inputs of a stage have the same.
func (i Input) Name() string {
	if i.Kind.IsTop() {
		return AtTop + string(i.Path)
	}
	return string(i.Path)
}

// Asked are the inputs that have no path: somebody must be asked for them. Each list is sorted by the
// names of its items.
type Asked struct {
	Tools  []Tool  `json:"tools,omitempty"`  // commands, by what they print
	Images []Named `json:"images,omitempty"` // the names are those of container images
	URLs   []Named `json:"urls,omitempty"`   // the names are URLs
}

// Named is what a name stood for when a run asked: an image of a registry, or what a server has at a URL.
type Named struct {
	Name   string `json:"name"`   // as pipe.yaml writes it
	Answer string `json:"answer"` // sha256:HEX or sha512:HEX of an image; blake3:HEX or etag:"TEXT" of a URL
}

// Tool is a command whose output is an input: mostly a tool that says its version.
type Tool struct {
	Cmd    string        `json:"cmd"`            // the command
	Digest digest.Digest `json:"hash"`           // of what it printed on standard output
	Size   int64         `json:"size"`           // bytes of that
	Line   string        `json:"line,omitempty"` // the first line of it, for people, where it may be shown
}

// Bounds of what documents may say. Numbers are exact in every reader of JSON.
const (
	MaxNumber     = 1<<53 - 1 // a size, or a count of files
	MaxGeneration = 1<<31 - 1 // how often the rebuild of a key was forced
	MaxTool       = 4 << 10   // bytes of a tool's command, or of another name that is asked for
	MaxETag       = 256       // bytes of an ETag, with its quotes
)

// Check says why no document may hold such an output.
func (o Output) Check() error {
	if _, err := repopath.Parse(string(o.Path)); err != nil {
		return err
	}
	switch {
	case o.Dir && o.Exec:
		return fmt.Errorf("%s is a directory, but executable", o.Path)
	case o.Dir && o.SHA256 != "":
		return fmt.Errorf("%s is a directory, but has a sha256", o.Path)
	case !o.Dir && o.Files != 0:
		return fmt.Errorf("%s is a file, but says how many files it holds", o.Path)
	}
	if o.SHA256 != "" {
		if _, err := digest.ParseHex(o.SHA256); err != nil {
			return fmt.Errorf("%s: sha256: %w", o.Path, err)
		}
	}
	return checkNumbers(o.Path, o.Digest, o.Size, o.Files)
}

// Check says why no document may hold such an input.
func (i Input) Check() error {
	if err := i.checkPath(); err != nil {
		return err
	}
	kind := i.Kind.Plain()
	switch {
	case kind != OneFile && kind != Dir && kind != Glob:
		return fmt.Errorf("%s has the unknown kind %q", i.Path, i.Kind)
	case kind != OneFile && i.Exec:
		return fmt.Errorf("%s is a directory or pattern, but executable", i.Path)
	case kind == OneFile && i.Files != 0:
		return fmt.Errorf("%s is a file, but says how many files it holds", i.Path)
	}
	return checkNumbers(i.Path, i.Digest, i.Size, i.Files)
}

// Check says why no document may hold such a tool.
func (t Tool) Check() error {
	if t.Cmd == "" || len(t.Cmd) > MaxTool {
		return fmt.Errorf("a command among the deps has %d bytes, not between 1 and %d", len(t.Cmd), MaxTool)
	}
	return checkNumbers(repopath.Path(t.Cmd), t.Digest, t.Size, 0)
}

// IsETag reports whether an ETag can be an answer: a strong one, with its quotes, of characters that any file can
// hold. An empty one is what some servers send that have none.
func IsETag(s string) bool {
	inside, quoted := strings.CutPrefix(s, `"`)
	inside, closed := strings.CutSuffix(inside, `"`)
	return quoted && closed && inside != "" && len(s) <= MaxETag &&
		!strings.ContainsFunc(inside, func(r rune) bool { return r <= ' ' || r == '"' || r > '~' })
}

func isURLAnswer(s string) bool {
	if etag, ok := strings.CutPrefix(s, "etag:"); ok {
		return IsETag(etag)
	}
	_, err := digest.Parse(s)
	return err == nil
}

// ShortAnswer is an answer for people: of a hash its kind and first digits.
func ShortAnswer(answer string) string {
	const digits = 12
	if kind, hash, _ := strings.Cut(answer, ":"); len(hash) > digits && kind != "etag" {
		return kind + ":" + hash[:digits]
	}
	return answer
}

// CheckImage says why no document may hold such an image.
func (n Named) CheckImage() error { return n.check("image", image.IsDigest) }

// CheckURL says why no document may hold such a URL.
func (n Named) CheckURL() error { return n.check("URL", isURLAnswer) }

func (n Named) check(what string, isAnswer func(string) bool) error {
	switch {
	case n.Name == "" || len(n.Name) > MaxTool:
		return fmt.Errorf("the name of the %s among the deps has %d bytes, not between 1 and %d", what, len(n.Name), MaxTool)
	case !isAnswer(n.Answer):
		return fmt.Errorf("%s %s has the unknown answer %q", what, n.Name, n.Answer)
	}
	return nil
}

// Check says why no document may hold such inputs.
func (a Asked) Check() error {
	for _, t := range a.Tools {
		if err := t.Check(); err != nil {
			return err
		}
	}
	for _, n := range a.Images {
		if err := n.CheckImage(); err != nil {
			return err
		}
	}
	for _, n := range a.URLs {
		if err := n.CheckURL(); err != nil {
			return err
		}
	}
	return nil
}

// checkPath takes the root for a directory, and a clean pattern for a glob.
func (i Input) checkPath() error {
	if i.Kind == Dir && i.Path == repopath.Root {
		return nil
	}
	if i.Kind.Plain() != Glob {
		_, err := repopath.Parse(string(i.Path))
		return err
	}
	g, err := repopath.JoinPattern(repopath.Root, string(i.Path))
	if err == nil && string(g) != string(i.Path) {
		err = fmt.Errorf("the pattern %q is not normalized", i.Path)
	}
	return err
}

func checkNumbers(p repopath.Path, d digest.Digest, size, files int64) error {
	switch {
	case d.IsZero():
		return fmt.Errorf("%s lacks a digest", p)
	case size < 0 || size > MaxNumber:
		return fmt.Errorf("%s: the size %d is not between 0 and %d", p, size, int64(MaxNumber))
	case files < 0 || files > MaxNumber:
		return fmt.Errorf("%s: the number of files %d is not between 0 and %d", p, files, int64(MaxNumber))
	}
	return nil
}

// maxStageName is how long a lock lets the name of a stage be.
const maxStageName = 255

// PathName returns the name under which what lies at a path stands among the stages. Two paths
// never share one: a byte that a lock's names do not have is = and two hexadecimal digits, and a
// path that gets too long by that is == and its hash.
func PathName(prefix string, p repopath.Path) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	b.WriteString(prefix)
	for _, c := range []byte(p) {
		if c != '=' && isNameByte(c) {
			b.WriteByte(c)
		} else {
			b.WriteString("=" + digits[c>>4:c>>4+1] + digits[c&15:c&15+1])
		}
	}
	if b.Len() > maxStageName {
		return prefix + "==" + digest.Of([]byte(p)).Hex()
	}
	return b.String()
}

// IsStageName reports whether a stage's name may be read from a lock, a record or
// a state: a letter, digit or _, then up to 254 of these and . @ : / = , + -.
func IsStageName(s string) bool {
	if s == "" || len(s) > maxStageName {
		return false
	}
	for i := range len(s) {
		if !isNameByte(s[i]) || i == 0 && strings.IndexByte(nameMarks, s[0]) >= 0 {
			return false
		}
	}
	return true
}

// nameMarks are the bytes of names that none begins with.
const nameMarks = ".@:/=,+-"

func isNameByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || strings.IndexByte(nameMarks, c) >= 0
}
