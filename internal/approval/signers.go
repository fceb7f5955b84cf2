package approval

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/pipe-build/pipe/internal/diag"
)

// maxSigners is the most bytes of a signers file: 4,000 RSA keys. ssh-keygen reads all of it
// for each vote.
const maxSigners = 2 << 20

// signer is a line of an allowed_signers file, see ssh-keygen(1).
type signer struct {
	field      string // the principals as written, in quotes where they are
	principals string // patterns between commas
	options    string // as written
	namespaces string // patterns between commas; empty: all
	ca         bool   // who has a certificate of this key, for a principal that fits
	kind, key  string
}

// signers are the lines of a file in normal form: sorted, each once.
type signers []signer

// keyKinds are the types of keys that may sign. Of ssh-dss no later ssh-keygen knows anything.
var keyKinds = [...]string{
	"ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521",
	"sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com",
}

// readSigners reads a whole file. Unlike ssh-keygen, which passes over lines that it cannot
// read, it returns all faults: a typing error must not leave somebody out unseen.
func readSigners(file string, b []byte) (signers, error) {
	if len(b) > maxSigners {
		return nil, diag.New(diag.Usage, "larger than %d MiB", maxSigners>>20).At(file)
	}
	b = bytes.TrimPrefix(b, []byte("\ufeff")) // editors on Windows begin a file with it
	var all signers
	var faults diag.List
	n := 0
	for line := range strings.SplitSeq(string(b), "\n") {
		n++
		line = strings.Trim(line, " \t\r")
		if line == "" || line[0] == '#' {
			continue
		}
		s, err := readSigner(line)
		if err != nil {
			faults = append(faults, diag.New(diag.Usage, "%w", err).At(fmt.Sprintf("%s:%d", file, n)).
				Hinted("write NAME KEY, as in: alice@example.com ssh-ed25519 AAAA...; see ALLOWED SIGNERS in man ssh-keygen"))
		}
		all = append(all, s)
	}
	if len(all) == 0 {
		return nil, diag.New(diag.Usage, "lists no signers").At(file).
			Hinted("add a line for each: alice@example.com ssh-ed25519 AAAA...")
	}
	slices.SortFunc(all, func(a, b signer) int { return strings.Compare(a.line(), b.line()) })
	return slices.Compact(all), faults.OrNil()
}

// readSigner reads a line that has neither a comment nor white space around it.
func readSigner(line string) (s signer, err error) {
	if !utf8.ValidString(line) || strings.ContainsFunc(line, func(r rune) bool { return unicode.IsControl(r) && r != '\t' }) {
		return s, errors.New("the line has a control character, or is not valid UTF-8")
	}
	s.field, line = cutField(line)
	if s.principals = s.field; strings.HasPrefix(s.field, `"`) {
		s.principals = strings.Trim(s.field, `"`)
	}
	if slices.Contains(keyKinds[:], s.field) {
		return s, errors.New("the name is missing")
	}
	names := strings.Split(s.principals, ",")
	if strings.Contains(s.principals, `"`) || slices.Contains(names, "") || len(s.positive()) == 0 {
		return s, fmt.Errorf("%s is not a list of names", s.field)
	}
	if word, _ := cutField(line); !isKind(word) {
		if s.options, line = cutField(line); s.options != "" {
			if err := s.readOptions(); err != nil {
				return s, err
			}
		}
	}
	s.kind, line = cutField(line)
	s.key, _ = cutField(line)
	return s, s.checkKey()
}

// cutField returns the text up to the first white space outside of quotes, and what follows
// that. A quote inside of quotes is nowhere allowed.
func cutField(line string) (field, rest string) {
	quoted := false
	for i := range len(line) {
		switch c := line[i]; {
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ' ' || c == '\t'):
			return line[:i], strings.TrimLeft(line[i:], " \t")
		}
	}
	return line, ""
}

// isKind reports whether a word is, or would be, a type of key and no option.
func isKind(word string) bool {
	return strings.HasPrefix(word, "ssh-") || strings.HasPrefix(word, "ecdsa-") || strings.HasPrefix(word, "sk-")
}

func isCertificate(kind string) bool { return strings.HasSuffix(kind, "-cert-v01@openssh.com") }

var (
	option = regexp.MustCompile(`^(?i:(cert-authority)|(namespaces)="([^"\\]+)"|valid-(?:after|before)="[0-9]{8}(?:[0-9]{4}(?:[0-9]{2})?)?(?:Z|UTC)?")(?:,|$)`)
	// optionName is the part of an option that an error repeats.
	optionName = regexp.MustCompile(`^[^=,]*`)
)

func (s *signer) readOptions() error {
	seen := map[string]bool{}
	for rest := s.options; rest != ""; {
		m := option.FindStringSubmatch(rest)
		name := strings.ToLower(optionName.FindString(rest))
		if m == nil || strings.HasSuffix(m[0], ",") && len(m[0]) == len(rest) {
			return fmt.Errorf("cannot read the option %q", name)
		}
		if seen[name] {
			return fmt.Errorf("the option %q is repeated", name)
		}
		seen[name] = true
		s.ca = s.ca || m[1] != ""
		if m[2] != "" {
			s.namespaces = m[3]
		}
		rest = rest[len(m[0]):]
	}
	return nil
}

// checkKey holds what can be told without ssh-keygen: the key's bytes begin with its type.
func (s *signer) checkKey() error {
	switch {
	case s.key == "":
		return errors.New("the key is missing")
	case isCertificate(s.kind):
		return errors.New("this is a certificate; list its key, or the authority's with cert-authority")
	case !slices.Contains(keyKinds[:], s.kind):
		return fmt.Errorf("unknown type of key %q", s.kind)
	}
	b, err := base64.StdEncoding.DecodeString(s.key)
	head := append(binary.BigEndian.AppendUint32(nil, uint32(len(s.kind))), s.kind...)
	if err != nil || len(b) <= len(head) || !bytes.HasPrefix(b, head) {
		return fmt.Errorf("the key is damaged: it is not base64 of a key of type %s", s.kind)
	}
	return nil
}

// line is the signer as the normal form has it, without the key's comment.
func (s *signer) line() string {
	words := []string{s.field, s.options, s.kind, s.key}
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), " ")
}

// print is the key's fingerprint, as ssh-keygen writes it.
func (s *signer) print() string {
	b, _ := base64.StdEncoding.DecodeString(s.key)
	sum := sha256.Sum256(b)
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

// positive are the patterns that take somebody in.
func (s *signer) positive() []string {
	return slices.DeleteFunc(strings.Split(s.principals, ","), func(p string) bool { return strings.HasPrefix(p, "!") })
}

// approves reports whether the key may sign approvals at all.
func (s *signer) approves() bool {
	return s.namespaces == "" || matchList(s.namespaces, Approve.namespace())
}

// text is the file in its normal form.
func (all signers) text() string {
	var b strings.Builder
	for _, s := range all {
		b.WriteString(s.line() + "\n")
	}
	return b.String()
}

// authority reports whether the file lists people by a certificate authority: they cannot be counted.
func (all signers) authority() bool {
	return slices.ContainsFunc(all, func(s signer) bool { return s.ca && s.approves() })
}

// matchList is ssh's match_pattern_list: one pattern fits, and none behind a "!" does.
func matchList(list, name string) bool {
	found := false
	for p := range strings.SplitSeq(list, ",") {
		not, out := strings.CutPrefix(p, "!")
		if match(not, name) {
			if out {
				return false
			}
			found = true
		}
	}
	return found
}

// match is ssh's match_pattern: * stands for any text, ? for one byte. It goes back to the
// last * alone, so its time is bounded by the product of the lengths.
func match(pattern, name string) bool {
	p, n, star, from := 0, 0, -1, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, n
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == name[n]):
			p++
			n++
		case star >= 0:
			from++
			p, n = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
