package yamldoc

import (
	"bytes"
	"io"
	"regexp"
	"sort"
	"strings"

	"gopkg.in/yaml.v3"
)

var (
	// keyed matches a line of a block up to its value.
	keyed = regexp.MustCompile(`^\s*(?:- +)*(?:[^\s'"#\[{][^:]*:\s+|'[^']*':\s+|"[^"]*":\s+)?`)
	// quoted matches a value that begins with a quote and goes on behind the closing one.
	quoted = regexp.MustCompile(`^(?:'(?:[^']|'')*'|"(?:[^"\\]|\\.)*")\s*[^\s#,:\]}]`)
	// tagged matches what is a tag to YAML, and meant as a pattern that excludes.
	tagged = regexp.MustCompile(`[\s\[,]![^\s,]`)
	// starred matches what is an alias or anchor to YAML, and meant as a pattern.
	starred = regexp.MustCompile(`(?:^|[\s\[,])[*&]`)
)

// slip returns what to do about an error of syntax, by the line where the parser met it: the parser
// names what it expected, in words that only those understand who know its grammar.
func slip(text, line string) string {
	indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
	value := line[len(keyed.FindString(line)):]
	switch {
	case strings.Contains(indent, "\t"):
		return "indent with spaces; YAML allows no tabs there"
	case strings.HasPrefix(text, "mapping values are not allowed") && strings.Contains(value, ": "):
		return `put the value in quotes, because it contains ": "`
	case quoted.MatchString(value):
		return "put the whole value in quotes, because it begins with one"
	case strings.HasPrefix(text, "mapping values are not allowed"), strings.HasPrefix(text, "did not find expected key"), strings.HasPrefix(text, "did not find expected '-'"):
		return `check the indentation of this line and the one above, and that each key ends in ": "`
	case strings.HasPrefix(text, "could not find expected ':'"):
		return "check the indentation: the lines of a text below | are indented deeper than its key"
	case strings.HasPrefix(text, "did not find expected alphabetic"), strings.HasPrefix(text, "unknown anchor") && starred.MatchString(value):
		return "put a value that begins with * or & in quotes"
	case strings.HasPrefix(text, "found character that cannot start any token"):
		return "put a value that begins with @, % or ` in quotes"
	case strings.HasPrefix(text, "did not find expected ',' or") && strings.Contains(line, "${"):
		return `inside [...] and {...}, put a value with ${...} in quotes: "${NAME}"`
	case strings.HasPrefix(text, "did not find expected ',' or") && tagged.MatchString(line):
		return "put a value that begins with ! in quotes"
	case strings.HasPrefix(text, "did not find expected ',' or"), strings.HasPrefix(text, "did not find expected node content"):
		return "close the bracket, and put values with brackets or commas in quotes"
	case strings.HasPrefix(text, "found unexpected end of stream"):
		return "close the quote"
	}
	return ""
}

// met returns the line where the parser met an error that it places at the beginning of the map or
// list around it: the last line of the shortest text that has the same error. What follows the error
// cannot change it, so the longer texts have it, too.
func met(data []byte, from int, text string) int {
	lines := bytes.SplitAfter(data, []byte("\n"))
	ends := make([]int, len(lines)+1)
	for i, l := range lines {
		ends[i+1] = ends[i] + len(l)
	}
	return min(len(lines), from+sort.Search(max(0, len(lines)-from), func(i int) bool {
		dec := yaml.NewDecoder(bytes.NewReader(data[:ends[from+i]]))
		var doc yaml.Node
		err := decode(dec, &doc)
		for err == nil {
			err = decode(dec, &doc)
		}
		return err != io.EOF && strings.HasSuffix(err.Error(), text)
	}))
}

// lineOf returns a line of a text, counted from 1; empty behind its end.
func lineOf(data []byte, line int) string {
	lines := bytes.SplitN(data, []byte("\n"), line+1)
	if line > len(lines) {
		return ""
	}
	return strings.TrimSuffix(string(lines[line-1]), "\r")
}
