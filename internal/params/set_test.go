package params

import "testing"

// Who sets a value compares the document with the one before.
func TestSetLeavesTheDocumentAsItIs(t *testing.T) {
	const file = "p.yaml"
	root, err := Parse(file, []byte("a: {b: [1, 2], c: 3}\n"))
	if err != nil {
		t.Fatal(err)
	}
	before := root.Canonical()
	for _, key := range []string{"a.b.0", "a.c", "a"} {
		next, err := Set(file, root, key, "9")
		if err != nil {
			t.Fatal(key, err)
		}
		if next.Canonical() == before || root.Canonical() != before {
			t.Errorf("%s: %s, and the document is %s", key, next.Canonical(), root.Canonical())
		}
	}
}
