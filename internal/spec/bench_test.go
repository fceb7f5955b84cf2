package spec

import (
	"fmt"
	"strings"
	"testing"
)

// writtenStages are n stages, each written out.
func writtenStages(n int) []byte {
	var b strings.Builder
	b.WriteString("stages:\n")
	for i := range n {
		fmt.Fprintf(&b, "  train@%d-%d:\n    cmd: train --x %d --y %d -o out/%d-%d\n    deps: [src, data/%d]\n    outs: [out/%d-%d]\n", i/10, i%10, i/10, i%10, i/10, i%10, i/10, i/10, i%10)
	}
	return []byte(b.String())
}

// generatedStages are the same n stages, made by a matrix.
func generatedStages(n int) []byte {
	list := func(n int) string {
		items := make([]string, n)
		for i := range items {
			items[i] = fmt.Sprint(i)
		}
		return strings.Join(items, ", ")
	}
	return fmt.Appendf(nil, `stages:
  train:
    matrix: {x: [%s], y: [%s]}
    cmd: train --x ${item.x} --y ${item.y} -o out/${key}
    deps: [src, "data/${item.x}"]
    outs: ["out/${key}"]
`, list(n/10), list(10))
}

func TestGeneratedStagesAreThoseThatOneWouldWrite(t *testing.T) {
	written, generated := parseGood(t, string(writtenStages(200))), parseGood(t, string(generatedStages(200)))
	if got, want := say(generated), say(written); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// BenchmarkGenerated: a generated stage costs less than a written one, and both grow in line.
func BenchmarkGenerated(b *testing.B) {
	for _, n := range []int{1000, 10_000} {
		for name, text := range map[string][]byte{"written": writtenStages(n), "generated": generatedStages(n)} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				for b.Loop() {
					if _, err := Parse(FileName, text); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
