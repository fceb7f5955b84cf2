package lockfile

import (
	"errors"
	"strings"

	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
)

// fieldsOf names the fields that this version knows: of a stage's block, of a source's, and of the
// items of a stage's lists.
var fieldsOf = map[string]string{
	"":       " key generation cmd deps tools images urls params env outs sum ",
	"source": " path git ref commit sum ",
	"deps":   " path kind exec hash size files in ",
	"tools":  " cmd hash size line ",
	"images": " name answer ",
	"urls":   " name answer ",
	"params": " file key value hash ",
	"env":    " name value hash ",
	"outs":   " path kind exec hash size files sha256 ",
}

// answersOf names the kinds of answers that this version knows.
var answersOf = map[string]string{"images": " sha256 sha512 ", "urls": " blake3 etag "}

func isKnown(list, name string) bool {
	return strings.HasPrefix(name, "x-") || strings.Contains(fieldsOf[list], " "+name+" ")
}

// isKind reports whether an item of a list can have the kind.
func isKind(list string, k artifact.Kind) bool {
	return k == artifact.Dir || list != "outs" && (k == artifact.Glob || k.IsTop())
}

// newer returns what in the block of name only a later version can have written, and where
// in text it stands: an unknown field, key, hash or kind. "" is nothing.
func newer(name, text string) (what string, at int) {
	block, list, from := "", "", 0
	if strings.HasPrefix(name, SourcePrefix) {
		block = "source"
	}
	for line := range strings.Lines(text) {
		if item, ok := strings.CutPrefix(line, "      - {"); ok && list != "" && block == "" && fieldsOf[list] != "" {
			what, at = newerItem(list, item)
			at += len(line) - len(item)
		} else if field, ok := strings.CutPrefix(line, "    "); ok && isField(field[:1]) {
			name, value, _ := strings.Cut(field, ":")
			if list = name; isField(name) {
				what, at = newerField(block, name, strings.TrimSpace(value)), len(line)-len(field)
			}
		}
		if what != "" {
			return what, from + at
		}
		from += len(line)
	}
	return "", 0
}

// newerItem looks at the fields of one item, which begin at the begin of s.
func newerItem(list, s string) (what string, at int) {
	rest := s
	for {
		name, value, ok := strings.Cut(rest, ": ")
		if !ok || !isField(name) {
			return "", 0
		}
		n := quotedLen(value)
		if n == 0 {
			n = max(strings.IndexAny(value, ",}\n"), 0)
		}
		if what = newerField(list, name, value[:n]); what != "" {
			return what, len(s) - len(rest)
		}
		if rest, ok = strings.CutPrefix(value[n:], ", "); !ok {
			return "", 0
		}
	}
}

// newerField looks at one field of a block, or of an item of list.
func newerField(list, name, value string) string {
	if !isKnown(list, name) {
		return "field " + name
	}
	switch form, _, isHash := strings.Cut(value, ":"); {
	case name == "key" && list == "":
		if _, err := digest.ParseKey(value); errors.Is(err, digest.ErrNewer) {
			return "key " + form
		}
	case name == "commit" && list == "source" && isHash && isField(form):
		return "commit " + form
	case name == "answer":
		if kind := strings.TrimPrefix(form, `"`); isHash && isField(kind) && !strings.Contains(answersOf[list], " "+kind+" ") {
			return "answer " + kind
		}
	case name == "kind" && isField(value) && !isKind(list, artifact.Kind(value)):
		return "kind " + value
	case (name == "cmd" && list == "" || name == "in" || name == "hash" && list != "env") && isHash && isField(form) && form+":" != digest.Prefix:
		return "hash " + form
	}
	return ""
}
