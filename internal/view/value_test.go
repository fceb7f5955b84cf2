package view

import "testing"

func TestANumberIsShownAsItsFileHasIt(t *testing.T) {
	for text, want := range map[string]string{
		`!"0.1"`: "0.1", `!"1e-3"`: "1e-3", `"0.1"`: `"0.1"`, `[!"1",!"2"]`: `[!"1",!"2"]`, "!": "!", `!"a`: `!"a`, "": "", "blake3:12": "blake3:12",
	} {
		if got := Value(text); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}
