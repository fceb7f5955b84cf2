package gitlog_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/pipe-build/pipe/pkg/repopath"
)

func TestLeftOutNamesEachFileOfASparseCheckout(t *testing.T) {
	for name, setup := range map[string][]string{
		"cone": {"set", "--cone", "a"}, "sparse index": {"set", "--cone", "--sparse-index", "a"}, "patterns": {"set", "--no-cone", "/a/", "/top"},
	} {
		s := newSandbox(t)
		s.commit(1, "a/kept", "x")
		s.commit(2, "b/c/one", "x")
		s.commit(3, "b/ü and\ttab", "x")
		s.commit(4, "top", "x")
		if got, err := s.open(s.dir).LeftOut(t.Context()); err != nil || got != nil {
			t.Errorf("%s: a whole checkout: %v, %v", name, got, err)
		}
		s.git(append([]string{"sparse-checkout"}, setup...)...)
		got, err := s.open(s.dir).LeftOut(t.Context())
		if want := []repopath.Path{"b/c/one", "b/ü and\ttab"}; err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		s.git("sparse-checkout", "disable")
		if got, err := s.open(s.dir).LeftOut(t.Context()); err != nil || got != nil {
			t.Errorf("%s: whole again: %v, %v", name, got, err)
		}
	}
}

// A no that is not known is an error: the key would be another one than in a full clone.
func TestLeftOutOfASparseCheckoutNeedsGit(t *testing.T) {
	s := newSandbox(t)
	s.commit(1, "a/b", "x")
	if _, err := s.with("PATH=").open(s.dir).LeftOut(t.Context()); err != nil {
		t.Errorf("a whole checkout: %v", err)
	}
	s.git("sparse-checkout", "set", "a")
	if got, err := s.with("PATH=").open(s.dir).LeftOut(t.Context()); err == nil {
		t.Errorf("%v", got)
	}
}

func TestAttributesAreThoseOfGit(t *testing.T) {
	s := newSandbox(t)
	s.write(".gitattributes", "*.bin filter=lfs -text\n*.txt text eol=crlf\n")
	s.write("sub/.gitattributes", "*.bin -filter\n")
	got, err := s.open(s.dir).Attributes(t.Context(), []repopath.Path{"a.bin", "sub/odd\n\"name.bin", "x.txt"}, "filter", "eol")
	if want := "[[lfs unspecified] [unset unspecified] [unspecified crlf]]"; err != nil || fmt.Sprint(got) != want {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := s.open(s.dir).Attributes(t.Context(), nil, "filter"); err != nil || len(got) != 0 {
		t.Errorf("of nothing: %v, %v", got, err)
	}
}

func TestASettingThatIsNotThereIsEmpty(t *testing.T) {
	s := newSandbox(t)
	s.git("config", "core.autocrlf", "input")
	if got := s.open(s.dir).Setting(t.Context(), "core.autocrlf"); got != "input" {
		t.Errorf("%q", got)
	}
	if got := s.open(s.dir).Setting(t.Context(), "core.nosuch"); got != "" {
		t.Errorf("%q", got)
	}
}
