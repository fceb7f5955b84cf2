package dvc

import (
	"regexp"
	"strconv"
	"strings"
)

// ours is a template of pipe: a name, and then fields and indices. Anything else between braces is the shell's to
// pipe; to DVC it is a template, and an error.
var ours = regexp.MustCompile(`^\s*[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+|\[[^\]]*\])*\s*(\|\s*raw\s*)?$`)

const (
	safe     = `([A-Za-z0-9_@%+=:,./-]*|--[A-Za-z0-9_@%+=:,./ -]*)` // what pipe puts into a command without quotes; a map becomes flags
	anything = `((?s).*)`                                           // what a raw value may be
)

// reads reports whether DVC makes expanded of a text with templates, as pipe has: DVC puts values in as they
// are, where pipe quotes them, and writes numbers as Python does.
func reads(text, expanded string) bool {
	form, rest := "^", text
	for {
		m := template.FindStringSubmatchIndex(rest)
		if m == nil {
			break
		}
		found, inner := rest[m[0]:m[1]], rest[m[4]:m[5]]
		form += regexp.QuoteMeta(rest[:m[0]])
		switch {
		case strings.HasPrefix(found, `\`):
			form += regexp.QuoteMeta(found[1:])
		case !ours.MatchString(inner):
			form += regexp.QuoteMeta(found)
		case strings.Contains(inner, "|"):
			form += anything
		default:
			form += safe
		}
		rest = rest[m[1]:]
	}
	values := regexp.MustCompile(form + regexp.QuoteMeta(rest) + "$").FindStringSubmatch(expanded)
	for i := 1; i < len(values); i++ {
		if !sameInPython(values[i]) {
			return false
		}
	}
	return values != nil
}

// forDVC writes a script with templates for DVC: what is the shell's is marked as such, and a value is raw
// there in any case.
func forDVC(script string) string {
	return template.ReplaceAllStringFunc(script, func(found string) string {
		switch inner := strings.TrimSuffix(strings.TrimPrefix(found, "${"), "}"); {
		case strings.HasPrefix(found, `\`):
			return found
		case !ours.MatchString(inner):
			return `\` + found
		default:
			name, _, _ := strings.Cut(inner, "|")
			return "${" + strings.TrimSpace(name) + "}"
		}
	})
}

var pythonInt = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)

// sameInPython reports whether a value that may be a number, a boolean or null has the text that Python writes
// for it.
func sameInPython(text string) bool {
	switch strings.ToLower(text) {
	case "true", "false":
		return text == strings.ToLower(text)
	case "null", "~":
		return false
	}
	plain := strings.ReplaceAll(text, "_", "")
	if _, err := strconv.ParseInt(plain, 0, 64); err == nil {
		return pythonInt.MatchString(text)
	}
	f, err := strconv.ParseFloat(plain, 64)
	if err != nil {
		return true
	}
	if pythonInt.MatchString(text) {
		return true // of any size
	}
	short := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(short, ".") {
		short += ".0"
	}
	return text == short && (f == 0 || f >= 1e-4 || f <= -1e-4) && f < 1e16 && f > -1e16
}
