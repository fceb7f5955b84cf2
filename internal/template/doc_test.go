package template

import (
	"os"
	"regexp"
	"testing"
)

// The table of quoting that users read is what happens.
func TestTheTableInTheManualIsTrue(t *testing.T) {
	text, err := os.ReadFile("../spec/LANGUAGE.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| `(run [^`]*)` \\| `([^`]*)` \\| `([^`]*)` \\|$").FindAllSubmatch(text, -1)
	if len(rows) < 5 {
		t.Fatalf("only %d rows were found", len(rows))
	}
	for _, row := range rows {
		for i, value := range []string{"it's $5", "0.1"} {
			if got, fault := expand(string(row[1]), value, false); fault != nil || got != string(row[i+2]) {
				t.Errorf("%s with %s: got %s, %v, want %s", row[1], value, got, fault, row[i+2])
			}
		}
	}
}
