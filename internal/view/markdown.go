package view

import (
	"fmt"
	"regexp"
	"strings"
)

// Markdown returns a text from outside as Markdown that shows it and does nothing else: in a code
// span, where GitHub makes no links, mentions, references to issues, emoji or HTML of it. It may
// stand in any line and in a cell of a table. What is not printable is shown as Print shows it.
//
// The two characters that could end a span or a cell stand outside of it, as entities: inside,
// a fence longer than 80 backticks is no fence for GitHub's parser, and a backslash before a |
// cannot be written.
func Markdown(text string) string {
	var b strings.Builder
	text = visible(text)
	for text != "" {
		n := strings.IndexAny(text+"|", "`|")
		if n > 0 {
			b.WriteString(span(text[:n]))
		}
		if n < len(text) {
			b.WriteString(fmt.Sprintf("&#%d;", text[n]))
		}
		text = text[min(n+1, len(text)):]
	}
	return b.String()
}

// span makes a code span. One space is taken off at each end when both have one and there is more.
func span(text string) string {
	if text[0] == ' ' && text[len(text)-1] == ' ' && strings.Trim(text, " ") != "" {
		text = " " + text + " "
	}
	return "`" + text + "`"
}

// address has what may stand between the < and > of a link.
var address = regexp.MustCompile(`^https?://[!#-;=?-\[\]^_a-z~]+$`)

// Link returns a link of Markdown, or the text, which is Markdown, alone if the address is none.
func Link(text, to string) string {
	if !address.MatchString(to) {
		return text
	}
	return "[" + text + "](<" + to + ">)"
}

// MarkdownRow returns a row of a table of Markdown. The cells are Markdown.
func MarkdownRow(cells ...string) string { return "| " + strings.Join(cells, " | ") + " |\n" }

// MarkdownHead returns the first two rows of a table of Markdown.
func MarkdownHead(cells ...string) string {
	return MarkdownRow(cells...) + strings.Repeat("| --- ", len(cells)) + "|\n"
}
