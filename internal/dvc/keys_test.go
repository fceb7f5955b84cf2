package dvc

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/spec"
)

// A key that the export does not know would be said to be lost without a word of what to do.
func TestTheExportKnowsEachKeyOfPipeYaml(t *testing.T) {
	for text, has := range map[string][]string{
		"stages: {}\nQQ: 1\n":            append(slices.Collect(maps.Keys(topKeys)), "stages", "vars", "metrics"),
		"stages: {a: {cmd: x, QQ: 1}}\n": append(slices.Collect(maps.Keys(lostKeys)), stageKeys...),
	} {
		slices.Sort(has)
		if want := known(t, text); !slices.Equal(has, want) {
			t.Errorf("the export knows %s, and pipe.yaml has %s", has, want)
		}
	}
}

// known returns the keys that stand in place of QQ in a pipe.yaml, as its error says them.
func known(t *testing.T, text string) []string {
	t.Helper()
	_, err := spec.Parse(spec.FileName, []byte(text))
	var list diag.List
	if errors.As(err, &list) {
		for _, e := range list {
			if all, ok := strings.CutPrefix(e.Hint, "known keys: "); ok {
				return strings.Split(all, ", ")
			}
		}
	}
	t.Fatal(err)
	return nil
}

func TestTheOptionsOfPlotsAreThoseThatPipeTakes(t *testing.T) {
	for _, key := range plotOptions {
		if _, err := spec.Parse(spec.FileName, []byte("stages: {a: {cmd: x, plots: [{p: {"+key+": v}}]}}\n")); err != nil {
			t.Error(err)
		}
	}
}
