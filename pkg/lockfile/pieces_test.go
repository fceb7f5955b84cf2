package lockfile

import (
	"bytes"
	"strings"
	"testing"
)

// said joins pieces: blocks by their names, texts as they are.
func said(all []Piece) string {
	var b strings.Builder
	for _, p := range all {
		switch {
		case p.Stage != nil:
			b.WriteString("[" + p.Stage.Name + "]")
		case p.Source != nil:
			b.WriteString("[" + p.Source.Name() + "]")
		default:
			b.WriteString(p.Text)
		}
	}
	return b.String()
}

func TestPiecesHaveEachWholeBlockAndLeaveTheRestAsItIs(t *testing.T) {
	f := example()
	f.SetSource(Source{Path: "lib dir", Git: "https://example.com/lib", Ref: "main", Commit: sum("c").Hex()[:40]})
	data := string(f.Encode())
	block := string(f.Stages[0].append(nil))
	broken := strings.Replace(block, "size: 120", "size: 121", 1)
	extra := forged(block, "    sum", "    x-n: 1\n    sum")
	for name, c := range map[string][2]string{
		"a whole lock":               {data, "[build][no][pack@1.2][source:lib=20dir]"},
		"line ends of Windows":       {strings.ReplaceAll(data, "\n", "\r\n"), "[build][no][pack@1.2][source:lib=20dir]"},
		"nothing":                    {"", ""},
		"a lock without stages":      {string((&File{}).Encode()), ""},
		"another file":               {"a\r\n\x00b", "a\r\n\x00b"},
		"a newer lock":               {"schema: 9\n" + block, "schema: 9\n" + block},
		"a broken block":             {head + broken, broken},
		"a broken block and a copy":  {head + broken + block, broken + "[build]"},
		"a cut block":                {head + block[:len(block)/2], block[:len(block)/2]},
		"conflict markers":           {head + "<<<<<<< a\n" + block + "=======\n>>>>>>> b\n", "<<<<<<< a\n[build]=======\n>>>>>>> b\n"},
		"a field of a later version": {head + extra, extra},
	} {
		if got := said(Pieces([]byte(c[0]))); got != c[1] {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestPiecesOfAnyBytesEnd(t *testing.T) {
	data := example().Encode()
	for i := range data {
		cut := bytes.Clone(data[:i])
		Pieces(cut)
		Pieces(append(cut, data...))
	}
}
