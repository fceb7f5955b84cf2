package tool

import (
	"os"
	"path/filepath"
	"testing"
)

func TestTheVersionIsThatOfTheProgramsOwnModule(t *testing.T) {
	file := filepath.Join(t.TempDir(), "go.mod")
	const text = "module m\n\ntool example.com/act/cmd/act\n\nrequire example.com/one v1.0.0\n\nrequire (\n\texample.com/ac v9.9.9\n\texample.com/act v0.2.89 // indirect\n)\n"
	if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	for program, want := range map[string]string{"example.com/act/cmd/act": "v0.2.89", "example.com/act": "v0.2.89", "example.com/one/x": "v1.0.0", "example.com/actor": "", "m": ""} {
		if got, err := pinned(file, program); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q %v", program, got, err)
		}
	}
}
