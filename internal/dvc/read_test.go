package dvc

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/pkg/digest"
)

func TestALockIsRead(t *testing.T) {
	all, err := ParseLock("dvc.lock", []byte(`schema: '2.0'
stages:
  one:
    cmd: |
      first

      second
    deps:
    - path: a
      hash: md5
      md5: 0123456789ABCDEF0123456789abcdef
      size: 3
    - path: s3://x/y
      etag: abc
    params:
      params.yaml:
        lr: 0.001
    outs:
    - path: d
      md5: 0123456789abcdef0123456789abcdef.dir
      nfiles: 2
    - path: run
      md5: 0123456789abcdef0123456789abcdef
      isexec: true
  two@x:
    cmd: [b, c]
`))
	if err != nil || len(all) != 2 {
		t.Fatalf("%v, %v", all, err)
	}
	hex := "0123456789abcdef0123456789abcdef"
	one := all[0]
	if one.Name != "one" || !slices.Equal(one.Cmd, []string{"first", "second"}) || all[1].Name != "two@x" || !slices.Equal(all[1].Cmd, []string{"b", "c"}) {
		t.Errorf("%+v", all)
	}
	deps := []Item{{Path: "a", Sum: Sum{MD5: hex}, Size: 3}, {Path: "s3://x/y", Size: -1}}
	outs := []Item{{Path: "d", Sum: Sum{MD5: hex, Dir: true, Legacy: true}, Size: -1, Files: 2}, {Path: "run", Sum: Sum{MD5: hex, Legacy: true}, Size: -1, Exec: true}}
	if !slices.Equal(one.Deps, deps) || !slices.Equal(one.Outs, outs) || one.Params["params.yaml"].Get("lr").Value != "0.001" {
		t.Errorf("%+v", one)
	}
}

func TestLocksOfOtherVersionsAreRefusedWithWhatToDo(t *testing.T) {
	for text, want := range map[string]string{
		"train:\n  cmd: x\n":            "has no schema",
		"schema: '3.0'\nstages: {}\n":   "schema 3.0 is not supported",
		"[a]\n":                         "must be a map",
		"<<<<<<< HEAD\nschema: '2.0'\n": "has the marks of a merge conflict",
		"schema: [\n":                   "not valid YAML",
	} {
		_, err := ParseLock("dvc.lock", []byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
		if all := diag.All(err); len(all) == 1 && want != "not valid YAML" && all[0].Hint == "" {
			t.Errorf("%q: no hint", text)
		}
	}
	if all, err := ParseLock("dvc.lock", nil); len(all) != 0 || err != nil {
		t.Errorf("empty: %v, %v", all, err)
	}
}

func TestDataFilesAreRead(t *testing.T) {
	d, err := ParseData("a.dvc", []byte("wdir: ..\nfrozen: true\ndeps:\n- path: data/x\n  repo:\n    url: https://example.invalid/r\nouts:\n- md5: 0123456789abcdef0123456789abcdef\n  hash: md5\n  path: x\n  remote: big\n- path: y\n  cache: false\n- path: z\n  cloud:\n    s3: {version_id: v}\n"))
	if err != nil || d.Wdir != ".." || !d.Frozen || d.Cmd || d.From != "https://example.invalid/r data/x" || len(d.Outs) != 3 {
		t.Fatalf("%+v, %v", d, err)
	}
	if d.Outs[0].Remote != "big" || d.Outs[0].Sum.Legacy || !d.Outs[1].NoCache || !d.Outs[2].Cloud {
		t.Errorf("%+v", d.Outs)
	}
	at := DataAt{"sub/a.dvc", *d}
	if got := at.At(d.Outs[0]); got != "x" {
		t.Errorf("it lies at %s", got)
	}
}

func TestConfiguration(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		".dvc/config": `
[core]
    remote = store   # the default
    analytics = false
['remote "store"']
    url = ../../store
['remote "cloud"']
    url = "s3://bucket/a b" # not a comment of the URL
    endpointurl = http://localhost:9000
[cache]
    dir = ../elsewhere
[remote "below"]
    url = remote://cloud/sub
    region = here
`,
		".dvc/config.local": "['remote \"cloud\"']\naccess_key_id = k\nregion = eu\n[core]\nremote = cloud\n",
		"user/config":       "['remote \"cloud\"']\nregion = us\nprofile = p\n['remote \"mine\"']\nurl = /mine\n",
	})
	c, err := ReadConfig(dir, filepath.Join(dir, "user", "config"), filepath.Join(dir, "nothing"))
	if err != nil {
		t.Fatal(err)
	}
	store, cloud, sub, mine := c.Remote("store"), c.Remote("cloud"), c.Remote("below"), c.Remote("mine")
	if c.Default != "cloud" || c.Cache != filepath.Join(dir, "elsewhere") || c.Remote("x") != nil {
		t.Errorf("%+v", c)
	}
	if store.URL != filepath.Join(filepath.Dir(dir), "store") || store.Text != "../store" || store.Scheme() != "" {
		t.Errorf("%+v", store)
	}
	if cloud.URL != "s3://bucket/a b" || cloud.Options["region"] != "eu" || cloud.Options["profile"] != "p" || cloud.Scheme() != "s3" || !slices.Equal(cloud.Secrets(), []string{"access_key_id"}) {
		t.Errorf("%+v", cloud)
	}
	if sub.URL != "s3://bucket/a b/sub" || sub.Options["endpointurl"] != "http://localhost:9000" || sub.Options["region"] != "here" {
		t.Errorf("%+v", sub)
	}
	if mine.URL != filepath.FromSlash("/mine") || mine.Text != mine.URL {
		t.Errorf("%+v", mine)
	}
	write(t, dir, map[string]string{".dvc/config": "[core]\nno setting\n"})
	if _, err := ReadConfig(dir); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("%v", err)
	}
}

func TestValuesAreComparedAsDVCDoes(t *testing.T) {
	for _, c := range []struct {
		file, lock string
		same       bool
	}{
		{`!"1e-3"`, `!"0.001"`, true},
		{`1E-3`, `!"0.001"`, true},
		{`!"0x10"`, `!"16"`, true},
		{`!"0o17"`, `!"15"`, true},
		{`!".inf"`, `!".inf"`, true},
		{`!"1.0"`, `!"1"`, true},
		{`!"1"`, `"1"`, false},
		{`!"2"`, `!"1"`, false},
		{`true`, `true`, true},
		{`true`, `"true"`, false},
		{`null`, `!"0"`, false},
		{`"y"`, `!"y"`, true},
		{`"a b"`, `"a b"`, true},
		{`"a b"`, `"a  b"`, false},
		{`[!"1",{"a":!"1e1"}]`, `[!"1",{"a":!"10.0"}]`, true},
		{`[!"1"]`, `[!"1",!"2"]`, false},
		{`[!"1"]`, `{!"1"}`, false},
		{`{"a":!"1"}`, `{"b":!"1"}`, false},
		{`"[]"`, `[]`, false},
		{`9007199254740993`, `!"9007199254740992"`, false},
		{`"nan"`, `!"nan"`, true},
	} {
		if got := SameValue(c.file, c.lock); got != c.same {
			t.Errorf("%s and %s: %v", c.file, c.lock, got)
		}
	}
}

func TestNamesOfDeployments(t *testing.T) {
	for name, want := range map[string]bool{
		"deploy": true, "deploy-prod": true, "prod_deploy": true, "Deploy": true, "deployProd": true, "release.v1": true, "publish": true, "web@deploy": true, "deploy2": true,
		"redeploy": false, "deployment": false, "undeploy": false, "releases": false, "test": false, "published": false,
	} {
		if got := Deploys(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestTheMapOfNamesIsReadAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "known")
	k, err := ReadKnown(file)
	if err != nil || len(k) != 0 {
		t.Fatalf("%v, %v", k, err)
	}
	d := digest.Of([]byte("a"))
	k.Add(Hashed{MD5: strings.Repeat("2", 32), Legacy: strings.Repeat("1", 32), Digest: d, Size: 7})
	k.AddDir(Sum{MD5: strings.Repeat("2", 32), Dir: true}, d, 9)
	want := "pipe-dvc 1\n" + strings.Repeat("1", 32) + " " + d.Hex() + " 7\n" + strings.Repeat("2", 32) + " " + d.Hex() + " 7\n" + strings.Repeat("2", 32) + ".dir " + d.Hex() + " 9\n"
	if got := string(k.Encode()); got != want {
		t.Fatalf("%s", got)
	}
	write(t, filepath.Dir(file), map[string]string{"known": want})
	again, err := ReadKnown(file)
	if err != nil || len(again) != 3 || again[strings.Repeat("2", 32)+".dir"].Kind != object.Dir || again[strings.Repeat("1", 32)].Size != 7 {
		t.Errorf("%v, %v", again, err)
	}
	for _, bad := range []string{"pipe-dvc 2\n", "", want + "x\n", strings.TrimSuffix(want, "\n"), strings.Replace(want, " 7", " -7", 1), strings.Replace(want, d.Hex(), "0", 1)} {
		write(t, filepath.Dir(file), map[string]string{"known": bad})
		if _, err := ReadKnown(file); !diag.Is(err, diag.Integrity) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestCommandsAreTheSameWhenTheirNumbersAre(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"x --lr 1e-3", "x --lr 0.001", true},
		{"x --lr=1e30 -n 1_000 0x10", "x --lr=1e+30 -n 1000 16", true},
		{"x -1.50", "x -1.5", true},
		{"x 1", "x 2", false},
		{"x  1", "x 1", false},
		{"out-1e-3.txt", "out-0.001.txt", false},
		{"a01", "a1", false},
		{"x 1.2.0", "x 1.2", false},
		{"x 1", "y 1", false},
		{"x nan", "x NaN", false},
		{"x", "x 1", false},
	} {
		if got := SameCommand(c.a, c.b); got != c.same {
			t.Errorf("%q and %q: %v", c.a, c.b, got)
		}
	}
}
