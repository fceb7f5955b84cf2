package lockfile

import (
	"bytes"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/pkg/repopath"
)

func sourceOf(at repopath.Path) Source {
	return Source{Path: at, Git: "https://example.com/" + string(at), Ref: "main", Commit: sum(string(at)).Hex()[:40]}
}

func sourceBlock(at repopath.Path) string {
	s := sourceOf(at)
	return string(s.append(nil))
}

// withSources has sources before, between and behind stages, and every field and form.
func withSources() *File {
	f := copyOf(example())
	f.Set(Stage{Name: "zip", Key: keyOf("zip"), Cmd: sum("zip")})
	for _, s := range []Source{
		sourceOf("src/api"),
		{Path: "lib", Git: "../lib", Commit: sum("lib").Hex()},
		{Path: `it's "odd" = ü`, Git: "git@example.com:a b.git", Ref: "feature/no: 1", Commit: sum("odd").Hex()[:40]},
		{Path: repopath.Path(strings.Repeat("long/", 60) + "x"), Git: "no", Ref: "yes", Commit: sum("long").Hex()[:40]},
	} {
		f.SetSource(s)
	}
	return f
}

// damagedSources is each way in which the block of a source does not count.
func damagedSources() map[string]string {
	b := sourceBlock("lib")
	commit := sourceOf("lib").Commit
	all := map[string]string{
		"edited":        head + strings.Replace(b, "ref: main", "ref: dev", 1),
		"two different": head + b + forged(b, "ref: main", "ref: dev"),
	}
	for name, change := range map[string][2]string{
		"order": {"    ref: main\n", ""}, "other path": {"path: lib", "path: other"}, "no git": {"    git: \"https://example.com/lib\"\n", ""},
		"empty ref": {"ref: main", `ref: ""`}, "quotes": {"ref: main", `ref: "main"`}, "short": {commit, commit[:12]}, "zeros": {commit, strings.Repeat("0", 40)},
		"capitals": {commit, strings.ToUpper(commit)}, "path leaves": {"path: lib", "path: ../lib"}, "key": {"    commit:", "    commit: " + commit + "\n    commit:"},
	} {
		forge := forged(b, change[0], change[1])
		if name == "order" {
			forge = forged(forge, "    path: lib\n", "    ref: main\n    path: lib\n")
		}
		all[name] = head + forge
	}
	return all
}

func TestSourcesStandAmongTheStages(t *testing.T) {
	f := withSources()
	data := f.Encode()
	again, err := Parse(FileName, data)
	if err != nil || len(again.Absent) > 0 || !reflect.DeepEqual(again.Sources, f.Sources) || !bytes.Equal(again.Encode(), data) {
		t.Fatalf("%v, read %+v of\n%s", err, again, data)
	}
	var names []string
	for line := range strings.Lines(string(data)) {
		if name, ok := strings.CutPrefix(line, beginField); ok {
			names = append(names, name)
		}
	}
	if !slices.IsSorted(names) || len(names) != len(f.Stages)+len(f.Sources) {
		t.Errorf("%q", names)
	}
	if !f.KeepSources(func(repopath.Path) bool { return false }) || f.KeepSources(func(repopath.Path) bool { return false }) {
		t.Error("KeepSources says otherwise")
	}
	bare := copyOf(example())
	bare.Set(Stage{Name: "zip", Key: keyOf("zip"), Cmd: sum("zip")})
	if !bytes.Equal(f.Encode(), bare.Encode()) {
		t.Error("a lock whose sources are gone is not what it was without them")
	}
}

func TestADamagedSourceIsAbsentAndSaidToBe(t *testing.T) {
	all := damagedSources()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		f, err := Parse(FileName, []byte(all[name]))
		if err != nil || len(f.Sources) > 0 || f.AbsentSource("lib") == nil {
			t.Errorf("%s: %+v, %v", name, f, err)
			continue
		}
		if a := f.AbsentSource("lib"); !strings.HasPrefix(a.String(), "ignored source lib: ") {
			t.Errorf("%s: %s", name, a)
		}
	}
	f, err := Parse(FileName, []byte(head+strings.Replace(sourceBlock("lib"), "main", "dev", 1)+sourceBlock("lib")))
	if err != nil || f.AbsentSource("lib") != nil || f.Source("lib") == nil {
		t.Errorf("a broken copy beside a whole one: %+v, %v", f, err)
	}
}

func TestASourceKeepsFieldsOfLaterVersionsUntilItMoves(t *testing.T) {
	text := head + forged(sourceBlock("lib"), "    commit: "+sourceOf("lib").Commit+"\n", "    commit: "+sourceOf("lib").Commit+"\n    x-a: 1\n    x-b:\n      - 2\n")
	f, err := Parse(FileName, []byte(text))
	if err != nil || string(f.Encode()) != text {
		t.Fatalf("%v\n%s", err, f.Encode())
	}
	f.Sources[0].Commit = sum("next").Hex()[:40]
	if b := f.Encode(); bytes.Contains(b, []byte("x-")) {
		t.Errorf("%s", b)
	}
}
