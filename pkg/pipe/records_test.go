package pipe

import (
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
)

func TestWhatIsAHash(t *testing.T) {
	whole := strings.Repeat("0a", 32)
	for text, want := range map[string]hashQuery{
		"0a1b":            {prefix: "0a1b", generation: -1},
		"0A1B":            {prefix: "0a1b", generation: -1},
		"blake3:" + whole: {prefix: whole, generation: -1},
		"k1:0a1b.2":       {prefix: "0a1b", generation: 2},
		"k1:" + whole:     {prefix: whole, generation: -1},
	} {
		if want.text = text; hashOf(text) != want {
			t.Errorf("%s: %+v", text, hashOf(text))
		}
	}
	for _, text := range []string{"", "k1:", "xyz", "0a1b.", "0a1b.x", "0a1b.-1", whole + "0", "./0a1b"} {
		if got := hashOf(text); got.prefix != "" {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

func of(hex string) (d digest.Digest) {
	d, err := digest.ParseHex(hex + strings.Repeat("0", 2*digest.Size-len(hex)))
	if err != nil {
		panic(err)
	}
	return d
}

func TestAPrefixOfSeveralHashesListsThem(t *testing.T) {
	build := recorded{id: object.RunID{Key: digest.Key(of("abcd1"))}, stage: "build"}
	rec := &object.Record{Outs: []artifact.Output{{Path: "app", Digest: of("abcd2")}, {Path: "copy", Digest: of("abcd2")}}, Log: of("abcd3")}
	ask := func(text string) ([]recorded, error) {
		q := hashOf(text)
		found := q.means(build, rec)
		return found, q.ambiguous(found)
	}
	for text, meaning := range map[string]string{"abcd1": "key of stage build", "abcd1.0": "key of stage build", "abcd2": "output app of stage build", "abcd3": "log of stage build"} {
		if found, err := ask(text); err != nil || len(found) != 1 || found[0].meaning != meaning {
			t.Errorf("%s: %+v, %v", text, found, err)
		}
	}
	for _, text := range []string{"abce", "abcd1.1", "abcd2.0"} {
		if found, err := ask(text); err != nil || len(found) != 0 {
			t.Errorf("%s: %+v, %v", text, found, err)
		}
	}
	_, err := ask("abcd")
	want := "abcd is the prefix of several hashes:\n" + of("abcd1").Hex() + "  key of stage build\n" + of("abcd2").Hex() + "  output app of stage build\n" +
		of("abcd3").Hex() + "  log of stage build"
	if !diag.Is(err, diag.Usage) || err.Error() != want {
		t.Errorf("%v\nwant\n%s", err, want)
	}
}
