package view

import (
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Print is fmt.Fprintf for people, and the one door through which their text goes. The format
// is ours; the arguments come from outside (names of files, records of other machines,
// commits, servers), so they cannot act on the reader:
//
//   - What an argument has that is not printable, line ends included, is shown as Go writes it:
//     \x1b, \n, \u202e. An argument never begins a line, moves the cursor or turns text around.
//   - No line is a command to a CI service: see inert.
//
// Errors of the writer are dropped: nobody may be there to read. The elements of args are
// changed, so write them out and never pass a list.
func Print(w io.Writer, format string, args ...any) {
	for i, a := range args {
		args[i] = shown(a)
	}
	raw(w, inert(fmt.Sprintf(format, args...)))
}

// raw prints what a command of the user's own stages printed, as it is: its colours and
// workflow commands are meant.
func raw(w io.Writer, text string) { _, _ = io.WriteString(w, text) }

// shown makes an argument harmless. Numbers stay numbers, for their verbs.
func shown(a any) any {
	switch a := a.(type) {
	case error:
		return visible(a.Error())
	case fmt.Stringer:
		return visible(a.String())
	}
	if v := reflect.ValueOf(a); v.CanInt() || v.CanUint() || v.CanFloat() || v.Kind() == reflect.Bool {
		return a
	}
	return visible(fmt.Sprint(a))
}

// visible escapes each character that is not printable, and each byte that is no character.
// Backslashes stay single: paths of Windows are full of them.
func visible(s string) string {
	var b strings.Builder
	for i, r := range s {
		_, size := utf8.DecodeRuneInString(s[i:])
		if unicode.IsPrint(r) && (r != utf8.RuneError || size > 1) {
			b.WriteString(s[i : i+size])
			continue
		}
		quoted := strconv.Quote(s[i : i+size])
		b.WriteString(quoted[1 : len(quoted)-1])
	}
	return b.String()
}

var (
	// lineCommand is GitHub's, which its runner trims: ActionCommand.TryParseV2.
	lineCommand = regexp.MustCompile(`(?m)^(\s*):(:)`)
	// anyCommand is the older one of GitHub, of Azure Pipelines and of TeamCity; each is found
	// anywhere in a line.
	anyCommand = regexp.MustCompile(`#(#[A-Za-z]*\[)`)
)

// inert breaks what a CI service would take for a command: ::error::, ##[add-mask], ##vso[.
func inert(text string) string {
	return anyCommand.ReplaceAllString(lineCommand.ReplaceAllString(text, `${1}\x3a$2`), `\x23$1`)
}

// document writes a JSON document as a line. What Print escapes has an escape in JSON, too, and
// stands in strings alone: the document means the same.
func document(w io.Writer, doc string) error {
	doc = anyCommand.ReplaceAllString(doc, `\u0023$1`)
	var b strings.Builder
	for _, r := range doc {
		switch {
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			b.WriteString(fmt.Sprintf(`\u%04x\u%04x`, high, low))
		default:
			b.WriteString(fmt.Sprintf(`\u%04x`, r))
		}
	}
	_, err := io.WriteString(w, b.String()+"\n")
	return err
}
