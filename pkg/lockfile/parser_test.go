package lockfile

import (
	"bytes"
	"reflect"
	"testing"
)

// A Parser says of each lock of a row what Parse says of it, whatever came before.
func TestAParserReadsWhatParseReads(t *testing.T) {
	var p Parser
	for seed := range uint64(60) {
		for kind := range kinds {
			m := draw(kind, seed)
			for side, b := range m.bytes() {
				other := bytes.Replace(b, []byte("size: 1"), []byte("size: 2"), 1) // a block that was edited
				moved := b                                                         // blocks between lines that name another stage
				for _, word := range []string{"begin", "end"} {
					moved = bytes.ReplaceAll(moved, []byte("  # "+word+" m0"), []byte("  # "+word+" n0"))
				}
				for _, data := range [][]byte{b, other, b, moved, b[:len(b)/2], b} {
					want, werr := Parse(FileName, data)
					got, err := p.Parse(FileName, data)
					if !reflect.DeepEqual(got, want) || (err == nil) != (werr == nil) {
						t.Fatalf("seed %d, %s, %s: got %+v, %v; want %+v, %v\n%s", seed, kinds[kind].name, side, got, err, want, werr, data)
					}
				}
			}
		}
	}
}

func TestAParserKeepsNoMoreThanTheLastLock(t *testing.T) {
	var p Parser
	for seed := range uint64(20) {
		b := draw(0, seed).bytes()["ours"]
		f, err := p.Parse(FileName, b)
		if err != nil || len(p.last) != len(f.Stages) {
			t.Fatalf("%d blocks are remembered of %d: %v", len(p.last), len(f.Stages), err)
		}
	}
}
