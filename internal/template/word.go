package template

// word is what is plain text of a word. It grows by one character at a time, and what quoting has to know
// of it is kept up: a word may be long, and have many values in it.
type word struct {
	text  []byte
	tilde bool // it has a ~, which may stand for a directory: at its beginning, behind = and :
	brace bool // it has a {
	index bool // it is in the index of an array's variable: a[, or [ in a=( )
	other bool // it has a character that no variable's name has
}

// add adds a character; array says that the word stands in a=( ).
func (w *word) add(c byte, array bool) {
	switch {
	case c == '~':
		w.tilde = true
	case c == '{':
		w.brace = true
	case c == '[' && !w.other:
		w.index = len(w.text) > 0 || array
	case c == ']':
		w.index = false
	}
	w.text = append(w.text, c)
	w.other = w.other || !isVariable(c, false)
}
