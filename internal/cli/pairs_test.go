package cli

import (
	"maps"
	"testing"
)

func TestAValueIsTakenAsItIs(t *testing.T) {
	var got map[string]string
	for _, text := range []string{`A=x,y`, `B=https://host/?a=1,b=2`, `C="quoted"`, "D=two\nlines", `E=`} {
		if err := (pairs{&got}).Set(text); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	want := map[string]string{"A": "x,y", "B": "https://host/?a=1,b=2", "C": `"quoted"`, "D": "two\nlines", "E": ""}
	if !maps.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, text := range []string{"A", "", "=x"} {
		if err := (pairs{&got}).Set(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}
