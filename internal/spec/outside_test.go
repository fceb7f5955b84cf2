package spec

import "testing"

// Locks sort kinds in this order, and a key can be made again only from deps in it.
func TestADepInTheProjectComesBeforeItsNamesakeOutside(t *testing.T) {
	for _, deps := range []string{"../x, x", "x, ../x"} {
		p, err := ParseIn(FileName, []byte("stages: {s: {cmd: c, outs: [o], deps: ["+deps+"]}}\n"), Options{Dir: "app"})
		if err != nil {
			t.Fatal(err)
		}
		if d := p.Stages[0].Deps; len(d) != 2 || d[0].Name() != "x" || d[1].Name() != ":/x" {
			t.Errorf("%s: %v", deps, d)
		}
	}
}
