package archtest

import (
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/pipe-build/pipe/"

// floors: imports go down a floor, never sideways. A package that is not here
// has no place in the house.
var floors = map[string]int{
	"pkg/digest": 0, "internal/diag": 0, "internal/dag": 0, "internal/par": 0, "internal/atomicfile": 0, "internal/repopath": 0, "internal/yamldoc": 0,
	"pkg/lockfile": 1, "pkg/event": 1, "internal/object": 1, "internal/spec": 1, "internal/params": 1,
	"internal/store": 2, "internal/action": 2, "internal/shell": 2, "internal/gitlog": 2, "internal/view": 2,
	"internal/store/disk": 3, "internal/store/s3": 3, "internal/store/mem": 3, "internal/store/storetest": 3, "internal/worktree": 3, "internal/lease": 3,
	"internal/engine": 4, "internal/transfer": 4, "internal/history": 4, "internal/sweep": 4, "internal/release": 4,
	"pkg/pipe": 5, "internal/cli": 6, "cmd/pipe": 7,
	// Beside the house: tests and their tools.
	"internal/archtest": 8, "internal/s3server": 3, "internal/bench": 8,
}

// sideways are the exceptions, each with its reason.
var sideways = map[string]string{
	"internal/yamldoc -> internal/diag": "a fault in a document is a diagnostic with a place; diag stands under everything",
}

// doors: one third-party module, one package that opens it.
var doors = map[string][]string{
	"github.com/zeebo/blake3":           {"pkg/digest"},
	"golang.org/x/sync":                 {"internal/par"},
	"github.com/bmatcuk/doublestar":     {"internal/repopath"},
	"gopkg.in/yaml.v3":                  {"internal/yamldoc"},
	"github.com/BurntSushi/toml":        {"internal/params"},
	"golang.org/x/text":                 {"internal/object"},
	"github.com/go-git":                 {"internal/gitlog"},
	"github.com/aws":                    {"internal/store/s3"},
	"github.com/spf13":                  {"internal/cli"},
	"golang.org/x/term":                 {"cmd/pipe"},
	"golang.org/x/sys":                  {"internal/atomicfile", "internal/store/disk", "internal/worktree"}, // system calls, each its own
	"github.com/rogpeppe/go-internal":   {},                                                                  // tests only
	"pgregory.net/rapid":                {},                                                                  // tests only
	"github.com/johannesboyne/gofakes3": {},                                                                  // tests only
}

func imports(f file) []string {
	var out []string
	for _, i := range f.ast.Imports {
		p, _ := strconv.Unquote(i.Path.Value)
		out = append(out, p)
	}
	return out
}

func TestImportsGoDownAFloor(t *testing.T) {
	for _, f := range sources(t) {
		from, ok := floors[f.pkg]
		if !ok {
			t.Errorf("%s: package %s has no floor", f.path, f.pkg)
			continue
		}
		if f.test {
			continue
		}
		for _, p := range imports(f) {
			to, ours := strings.CutPrefix(p, module)
			if !ours || sideways[f.pkg+" -> "+to] != "" {
				continue
			}
			floor, ok := floors[to]
			if !ok || floor >= from {
				t.Errorf("%s (floor %d) imports %s (floor %d)", f.path, from, to, floor)
			}
		}
	}
}

func TestEachThirdPartyModuleHasOneDoor(t *testing.T) {
	for _, f := range sources(t) {
		if f.test {
			continue
		}
		for _, p := range imports(f) {
			if strings.HasPrefix(p, module) || !strings.Contains(strings.SplitN(p, "/", 2)[0], ".") {
				continue
			}
			if !allowed(p, f.pkg) {
				t.Errorf("%s: %s is no door to %s", f.path, f.pkg, p)
			}
		}
	}
}

func allowed(path, pkg string) bool {
	for mod, pkgs := range doors {
		if path == mod || strings.HasPrefix(path, mod+"/") {
			for _, p := range pkgs {
				if p == pkg {
					return true
				}
			}
		}
	}
	return false
}
