package main

import "testing"

func TestGreet(t *testing.T) {
	for name, want := range map[string]string{"": ", world", "Go": ", Go"} {
		if got := greet(name); len(got) < len(want) || got[len(got)-len(want):] != want {
			t.Errorf("greet(%q) = %q", name, got)
		}
	}
}
