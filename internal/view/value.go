package view

import (
	"encoding/json"
	"strings"
)

// Value returns a value of a params file as its file has it: a number, which in records is !"0.1", as
// 0.1. Any other text stays as it is.
func Value(text string) string {
	var plain string
	if quoted, ok := strings.CutPrefix(text, "!"); ok && json.Unmarshal([]byte(quoted), &plain) == nil {
		return plain
	}
	return text
}
