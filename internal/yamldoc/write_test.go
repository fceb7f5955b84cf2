package yamldoc

import (
	"testing"

	"pgregory.net/rapid"
)

func text(s string) *Node { return &Node{Kind: String, Value: s} }

func mapOf(pairs ...any) *Node {
	m := &Node{Kind: Map}
	for i := 0; i < len(pairs); i += 2 {
		m.Pairs = append(m.Pairs, Pair{Key: pairs[i].(string), At: text(pairs[i].(string)), Value: pairs[i+1].(*Node)})
	}
	return m
}

func TestANodeIsWrittenPlainlyWhereThatIsSafe(t *testing.T) {
	n := mapOf(
		"cmd", text("python train.py --lr ${lr} # not a comment"), "run", text("make all -j 4 > log && echo '${x}'"), "script", text("set -e\n\nif x; then\n  y\nfi\n"), "two", text("a\nb"), "path", text("./build.sh ${x}"), "template", text("${x}"),
		"deps", &Node{Kind: List, Items: []*Node{text("src/"), text("*.go"), text("!x"), text("1.0"), text("yes"), text("a, b"), mapOf("path", text("[id]"), "push", &Node{Kind: Bool, Value: "false"}), mapOf("all.json", &Node{Kind: Null})}},
		"empty", &Node{Kind: List}, "null", &Node{Kind: Null}, "quoted", text(`say "it's"`), "one", mapOf("a", text("b")), "tab", text("a\n\tb"), "in", mapOf("a: b", text("\t"), "c", text("")),
	)
	const want = `  cmd: "python train.py --lr ${lr} # not a comment"
  run: make all -j 4 > log && echo '${x}'
  script: |
    set -e

    if x; then
      y
    fi
  two: |-
    a
    b
  path: ./build.sh ${x}
  template: ${x}
  deps:
    - src/
    - "*.go"
    - "!x"
    - "1.0"
    - "yes"
    - a, b
    - {path: "[id]", push: false}
    - {all.json: }
  empty: []
  "null":
  quoted: say "it's"
  one:
    a: b
  tab: "a\n\tb"
  in:
    "a: b": "\t"
    c: ""
`
	if got := n.Block(2, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := mapOf("a", text("x"), "b", &Node{Kind: Null}).Flow(true); got != `{"a": "x", "b": null}` {
		t.Error(got)
	}
}

func TestAlikeTellsValuesApart(t *testing.T) {
	read := func(s string) *Node {
		n, err := Parse("f", []byte(s), Options{})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	const a = "{a: 1, b: [c, ~, true], d: {e: x}}"
	if !read(a).Alike(read("{b: [\"c\", null, True], a: \"1\", d: {e: x}}")) {
		t.Error("the order of keys and quotes count")
	}
	for _, b := range []string{
		"{a: 2, b: [c, ~, true], d: {e: x}}", "{a: 1, b: [c, ~], d: {e: x}}", "{a: 1, b: [c, ~, false], d: {e: x}}", "{a: 1, b: [d, ~, true], d: {e: x}}",
		"{a: 1, b: [c, ~, true], d: {f: x}}", "{a: 1, b: [c, ~, true], d: {e: y}}", "{a: 1, b: [c, ~, true]}", "{a: 1, b: [c, \"\", true], d: {e: x}}", "{a: 1, b: [c, ~, true], d: {e: x}, f: g}",
	} {
		if read(a).Alike(read(b)) || read(b).Alike(read(a)) {
			t.Errorf("%s is like %s", a, b)
		}
	}
}

// TestWhatIsWrittenIsRead holds any value against what Parse makes of its text.
func TestWhatIsWrittenIsRead(t *testing.T) {
	texts := rapid.OneOf(rapid.String(), rapid.StringMatching(`[ -~]{0,12}`), rapid.StringMatching("[a \t\n#:'\"|>]{0,8}"))
	var values func(depth int) *rapid.Generator[*Node]
	values = func(depth int) *rapid.Generator[*Node] {
		return rapid.Custom(func(t *rapid.T) *Node {
			switch kind := rapid.IntRange(0, 4).Draw(t, "kind"); {
			case kind == 0:
				return &Node{Kind: Bool, Value: "true"}
			case kind == 1 && depth > 0:
				return &Node{Kind: List, Items: rapid.SliceOfN(values(depth-1), 0, 3).Draw(t, "items")}
			case kind == 2 && depth > 0:
				m := &Node{Kind: Map}
				for _, k := range rapid.SliceOfNDistinct(texts, 0, 3, rapid.ID[string]).Draw(t, "keys") {
					m.Pairs = append(m.Pairs, Pair{Key: k, At: text(k), Value: values(depth-1).Draw(t, "value")})
				}
				return m
			}
			return text(texts.Draw(t, "text"))
		})
	}
	rapid.Check(t, func(t *rapid.T) {
		n := mapOf("k", values(3).Draw(t, "value"))
		for _, written := range []string{n.Block(0, "\n"), n.Flow(false), n.Flow(true)} {
			if got, err := Parse("f", []byte(written), Options{}); err != nil || !got.Alike(n) {
				t.Fatalf("%v\n%s\nwant %s", err, written, n.Canonical())
			}
		}
	})
}
