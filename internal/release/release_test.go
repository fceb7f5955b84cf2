package release_test

import (
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/store/mem"
)

func TestEnvironmentsHaveNamesThatEveryStoreTakes(t *testing.T) {
	for _, name := range []string{"default", "staging", "eu-1.prod_2", strings.Repeat("a", 63)} {
		if e, err := release.Open(mem.New(), release.Options{Name: name}); err != nil || e.Name() != name {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"", ".", "..", "../x", "a/b", "Prod", "-a", "a b", "ü", "a.lock", strings.Repeat("a", 64)} {
		if _, err := release.Open(mem.New(), release.Options{Name: name}); !diag.Is(err, diag.Usage) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestNamesOfReleasesAreTakenInOneForm(t *testing.T) {
	whole := "r-" + strings.Repeat("0a", 32)
	if got, err := release.ParseID(whole); err != nil || got.String() != whole || got.Short() != whole[:14] {
		t.Errorf("%s, %v", got, err)
	}
	for _, text := range []string{"", "r-", whole[2:], whole[:65], whole + "0", strings.ToUpper(whole), "r-" + strings.ToUpper(whole[2:]), " " + whole, "b-" + whole[2:]} {
		if _, err := release.ParseID(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
	for text, want := range map[string]bool{"r-0a0a": true, whole: true, "r-0a0": false, "0a0a0a": false, "r-0A0A": false, "r-main": false, whole + "0": false} {
		if release.IsPrefix(text) != want {
			t.Errorf("%q: want %v", text, want)
		}
	}
}
