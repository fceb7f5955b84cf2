package archtest

import (
	"bytes"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/pipe-build/pipe/"

// floors: imports go down a floor, never sideways. A package that is not here
// has no place in the house.
var floors = map[string]int{
	"pkg/digest": 0, "internal/diag": 0, "internal/dag": 0, "internal/par": 0, "internal/atomicfile": 0, "internal/process": 0, "pkg/repopath": 0, "internal/canon": 0, "internal/folder": 0, "internal/image": 0,
	"internal/yamldoc": 1, "internal/dotenv": 1, "pkg/artifact": 1, "internal/statindex": 1, "internal/atomicfile/powercut": 1,
	"pkg/lockfile": 2, "pkg/event": 2, "internal/object": 2, "internal/params": 2, "internal/template": 2,
	"internal/expr": 3, "internal/metrics": 3, "internal/spec": 4,
	"internal/store": 5, "internal/lease": 6, "internal/action": 5, "internal/shell": 5, "internal/ignore": 5, "internal/gitlog": 5, "internal/view": 5,
	"internal/store/disk": 6, "internal/store/s3": 6, "internal/store/mem": 6, "internal/store/storetest": 6, "internal/worktree": 6, "internal/settings": 6, "internal/starter": 6, "internal/dvc": 6, "internal/githook": 6, "internal/ci": 6, "internal/github": 6, "internal/lookup": 6, "internal/workflow": 6,
	"internal/inputs": 7, "internal/aside": 7, "internal/transfer": 7, "internal/history": 7, "internal/sweep": 7, "internal/release": 7, "internal/remote": 7, "internal/runlog": 7, "internal/source": 7, "internal/approval": 7,
	"internal/local": 8, "internal/deploy": 8, "internal/engine": 9,
	"pkg/pipe": 10, "internal/cli": 11, "cmd/pipe": 12,
	// Beside the house: tests and their tools.
	"internal/archtest": 13, "internal/tool": 5, "internal/s3server": 6, "internal/registry": 6, "internal/dvctest": 6, "internal/forge": 6, "internal/bench": 13, "internal/faults": 13, "internal/drill": 13,
}

// doors: one third-party module, one package that opens it.
var doors = map[string][]string{
	"github.com/zeebo/blake3":           {"pkg/digest"},
	"golang.org/x/sync":                 {"internal/par"},
	"github.com/bmatcuk/doublestar":     {"pkg/repopath"},
	"gopkg.in/yaml.v3":                  {"internal/yamldoc"},
	"github.com/pelletier/go-toml":      {"internal/params"},
	"golang.org/x/text/cases":           {"internal/object"},
	"golang.org/x/text/unicode":         {"internal/object"},
	"golang.org/x/text/width":           {"internal/view"},
	"oras.land/oras-go":                 {"internal/lookup"},
	"github.com/go-git":                 {"internal/gitlog"},
	"github.com/aws":                    {"internal/store/s3"},
	"github.com/spf13":                  {"internal/cli"},
	"golang.org/x/term":                 {"cmd/pipe"},
	"golang.org/x/sys":                  {"internal/atomicfile", "internal/folder", "internal/shell", "internal/store/disk", "internal/statindex", "cmd/pipe"}, // system calls, each its own
	"github.com/rogpeppe/go-internal":   {},                                                                                                                    // tests only
	"github.com/creack/pty":             {},                                                                                                                    // tests only
	"pgregory.net/rapid":                {},                                                                                                                    // tests only
	"github.com/johannesboyne/gofakes3": {},                                                                                                                    // tests only
	"github.com/santhosh-tekuri":        {},                                                                                                                    // tests only
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
			if !ours {
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

// TestNoPackageUsesTemplates: a template calls methods by their names, so the linker must keep
// every exported method of every type in the program: 10 MB beside 23, most of it the S3 client's.
func TestNoPackageUsesTemplates(t *testing.T) {
	for _, f := range sources(t) {
		for _, p := range imports(f) {
			if !f.test && (p == "text/template" || p == "html/template") {
				t.Errorf("%s imports %s", f.path, p)
			}
		}
	}
}

// TestTheLinkerDropsUnusedMethods looks for the same in what others wrote: cobra imports
// text/template, and is harmless only as long as nothing reaches its use.
func TestTheLinkerDropsUnusedMethods(t *testing.T) {
	build := exec.CommandContext(t.Context(), "go", "build", "-ldflags=-dumpdep", "-o", os.DevNull, module+"cmd/pipe")
	out, err := build.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("main.main -> ")) {
		t.Fatalf("%v: no graph of what the linker keeps in %d bytes", err, len(out))
	}
	seen := map[string]bool{}
	for line := range bytes.Lines(out) {
		if by, _, found := strings.Cut(string(line), " <ReflectMethod> -> "); found && !seen[by] {
			seen[by] = true
			t.Errorf("%s calls methods by name: each exported one stays in the program", by)
		}
	}
}
