package spec_test

import (
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/spec"
)

func TestAProjectHasANameThatEveryStoreTakes(t *testing.T) {
	const stages = "\nstages: {ship: {cmd: ./ship}}\n"
	for _, name := range []string{"shop", "a", "0.x_y-z", strings.Repeat("a", 63)} {
		if p, err := spec.Parse(spec.FileName, []byte("project: "+name+stages)); err != nil || p.Name != name || !p.Deploys() {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"Shop", "-a", ".", "a/b", "a b", "ü", strings.Repeat("a", 64), "''", "[a]", "{a: b}", ""} {
		if _, err := spec.Parse(spec.FileName, []byte("project: "+name+stages)); !diag.Is(err, diag.Usage) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if p, err := spec.Parse(spec.FileName, []byte("stages: {b: {cmd: make, outs: [x]}}\n")); err != nil || p.Name != "" || p.Deploys() {
		t.Errorf("no name is needed here: %v", err)
	}
}

func TestFitNameMakesAValidName(t *testing.T) {
	for in, want := range map[string]string{
		"shop.git": "shop", "My Shop": "my-shop", "--x--": "x", "ünï": "n", "": "project", "...": "project", "a/b": "a-b",
		strings.Repeat("A", 80): strings.Repeat("a", 63),
	} {
		if got := spec.FitName(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
