package object

import (
	"bytes"
	"encoding/json"
	"errors"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/canon"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
)

func recordID() RunID { return RunID{Key: digest.Key(sum("key"))} }

// records is where other implementations find what must be read.
const records = "../../testdata/vectors/record"

func record() *Record {
	return &Record{
		ID: recordID(), Stage: "build",
		Outs: []artifact.Output{
			{Path: "dist/<app> & ü", Exec: true, Digest: sum("app"), Size: 3, SHA256: strings.Repeat("ab", 32)},
			{Path: "dist/static", Dir: true, Digest: tree().Digest(), Size: 0, Files: 2},
		},
		Stamp: Stamp{
			Project: "shop", By: "ann@example.org", Builder: "https://ci.example.org/runs/7",
			Commit: "0123456789abcdef0123456789abcdef01234567", Version: "1.0.0",
		},
		At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Seconds: 1.5, Platform: "linux/amd64",
		Log: sum("log"), Inputs: []digest.Digest{sum("a list")},
	}
}

func encode(t *testing.T, r *Record) []byte {
	t.Helper()
	b, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRecordIsCanonicalJSON(t *testing.T) {
	golden(t, filepath.Join(records, "full.json"), encode(t, record()))
	least := &Record{ID: recordID(), Stage: "s", At: time.Unix(0, 0).UTC()}
	golden(t, filepath.Join(records, "least.json"), encode(t, least))
	again := record()
	again.ID.Generation = 2
	golden(t, filepath.Join(records, "generation.json"), encode(t, again))
	again.ID.Generation, again.Attempts = 0, 3
	golden(t, filepath.Join(records, "attempts.json"), encode(t, again))
	once := encode(t, record())
	if again.Attempts = 1; !bytes.Equal(encode(t, again), once) {
		t.Error("one attempt is written")
	}
	again.ID.Generation, again.Attempts, again.FromLock = 2, 3, true
	golden(t, filepath.Join(records, "from-lock.json"), encode(t, again))
}

func TestParseRecordReadsWhatEncodeWrote(t *testing.T) {
	want := record()
	want.Attempts = 2
	got, err := ParseRecord(encode(t, want), recordID())
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\ngot  %+v\nwant %+v", err, got, want)
	}
}

func TestARecordMayHaveMembersThatThisVersionDoesNotKnow(t *testing.T) {
	b := bytes.Replace(encode(t, record()), []byte(`,"version"`), []byte(`,"this":{"is":["new"]},"version"`), 1)
	if r, err := ParseRecord(b, recordID()); err != nil || r.Version != "1.0.0" {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestARecordOfANewerPipeIsNotCalledMalformed(t *testing.T) {
	for name, text := range map[string]string{
		"schema":              strings.Replace(string(encode(t, record())), `"schema":1`, `"schema":2`, 1),
		"schema-not-in-form":  `{ "schema": 3, "quite": "another form" }`,
		"schema-beyond-int64": strings.Replace(string(encode(t, record())), `"schema":1`, `"schema":9223372036854775808`, 1),
		"key":                 strings.Replace(string(encode(t, record())), `"key":"k1:`, `"key":"k2:`, 1),
		"key-not-in-form":     `{ "key": "k2:another form" }`,
	} {
		golden(t, filepath.Join(records, "newer", name+".json"), []byte(text))
		_, err := ParseRecord([]byte(text), recordID())
		if !diag.Is(err, diag.Policy) || !strings.Contains(err.Error(), "newer pipe") || errors.Is(err, ErrMalformed) {
			t.Errorf("%v", err)
		}
	}
}

// A record that says less than it was written with must not say it another way.
func TestARecordFromALockSaysNothingOfARun(t *testing.T) {
	r := record()
	r.FromLock, r.Attempts = true, 2
	got, err := ParseRecord(encode(t, r), recordID())
	if err != nil || !got.FromLock || got.By != "" || got.Commit != "" || got.Builder != "" || !got.At.IsZero() || got.Seconds != 0 || got.Attempts != 0 || !got.Log.IsZero() {
		t.Fatalf("%+v, %v", got, err)
	}
	if got.Project != "shop" || len(got.Outs) != 2 {
		t.Errorf("%+v", got)
	}
	for name, value := range map[string]any{"by": "ann", "at": "2026-01-02T03:04:05Z", "seconds": 2, "attempts": 2, "commit": "0123", "log": sum("log")} {
		members := map[string]any{}
		if err := json.Unmarshal(encode(t, r), &members); err != nil {
			t.Fatal(err)
		}
		members[name] = value
		b, err := canon.Marshal(members)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseRecord(b, recordID()); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s is taken: %v", name, err)
		}
	}
}

func TestParseRecordRefuses(t *testing.T) {
	good := string(encode(t, record()))
	for name, change := range map[string][2]string{
		"a doubled member":    {`"stage":"build"`, `"stage":"build","stage":"build"`},
		"another stage name":  {`"stage":"build"`, `"stage":"../build"`},
		"no schema":           {`"schema":1,`, ``},
		"another key":         {recordID().Key.String(), digest.Key(sum("other")).String()},
		"a key that is none":  {recordID().Key.String(), "abc"},
		"a path that leaves":  {"dist/<app> & ü", "../../x"}, // LESSONS 9
		"an absolute path":    {"dist/<app> & ü", "/etc/passwd"},
		"a path into .git":    {"dist/<app> & ü", ".git/hooks/x"},
		"an empty path":       {"dist/<app> & ü", ""},
		"outs out of order":   {"dist/<app> & ü", "dist/zzz"},
		"an out twice":        {"dist/<app> & ü", "dist/static"},
		"a negative size":     {`"size":3`, `"size":-3`},
		"negative files":      {`"files":2`, `"files":-2`},
		"no digest":           {`"digest":"` + sum("app").String() + `",`, ``},
		"an unknown digest":   {"blake3:" + sum("app").Hex(), "sha256:" + sum("app").Hex()},
		"trailing garbage":    {"}\n", "}\n{}"},
		"a truncated record":  {"}\n", ""},
		"a size that is text": {`"size":3`, `"size":"3"`},
		"a size beyond exact": {`"size":3`, `"size":9007199254740992`},
		"files beyond exact":  {`"files":2`, `"files":9007199254740992`},
		"a file with files":   {`"exec":true,`, `"exec":true,"files":1,`},
		"an executable tree":  {`"dir":true,"files"`, `"dir":true,"exec":true,"files"`},
		"a sha256 of a tree":  {`"path":"dist/static",`, `"path":"dist/static","sha256":"` + strings.Repeat("ab", 32) + `",`},
		"no sha256":           {strings.Repeat("ab", 32), "ab"},
		"sha256 in capitals":  {strings.Repeat("ab", 32), strings.Repeat("AB", 32)},
		"a null sha256":       {`"` + strings.Repeat("ab", 32) + `"`, "null"},
		"null outs":           {`"outs":[`, `"outs":null,"ouu":[`},
		"null by":             {`"ann@example.org"`, "null"},
		"SCHEMA":              {`"schema":1`, `"SCHEMA":3`},
		"a list twice":        {`"inputs":["` + sum("a list").String(), `"inputs":["` + sum("a list").String() + `","` + sum("a list").String()},
		"lists out of order":  {`"inputs":["`, `"inputs":["blake3:` + strings.Repeat("f", 64) + `","`},
		"negative attempts":   {`"at":"2026-01-02T03:04:05Z",`, `"at":"2026-01-02T03:04:05Z","attempts":-1,`},
		"attempts beyond":     {`"at":"2026-01-02T03:04:05Z",`, `"at":"2026-01-02T03:04:05Z","attempts":2147483648,`},
		"a generation":        {`"inputs":`, `"generation":1,"inputs":`},
		"no time":             {`"at":"2026-01-02T03:04:05Z",`, ``},
		"another time zone":   {`03:04:05Z`, `03:04:05+01:00`},
		"half a second":       {`03:04:05Z`, `03:04:05.5Z`},
		"microseconds":        {`"seconds":1.5`, `"seconds":1.000001`},
		"negative seconds":    {`"seconds":1.5`, `"seconds":-1.5`},
	} {
		text := strings.Replace(good, change[0], change[1], 1)
		if text == good {
			t.Fatalf("%s: the change changed nothing", name)
		}
		if r, err := ParseRecord([]byte(text), recordID()); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %+v, %v; want ErrMalformed", name, r, err)
		}
		golden(t, filepath.Join(records, "invalid", strings.ReplaceAll(name, " ", "-")+".json"), []byte(text))
	}
	if _, err := ParseRecord(make([]byte, MaxRecord+1), recordID()); !errors.Is(err, ErrMalformed) {
		t.Errorf("a huge record: %v", err)
	}
}

// Two empty directories among the deps have one list.
func TestEachListOfInputsStandsOnceAndInOrder(t *testing.T) {
	r := record()
	r.Inputs = []digest.Digest{{9}, {1}, {9}, {1}, {5}}
	got, err := ParseRecord(encode(t, r), recordID())
	if want := []digest.Digest{{1}, {5}, {9}}; err != nil || !slices.Equal(got.Inputs, want) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestAGenerationBeyondTheBoundIsNoRecord(t *testing.T) {
	r := record()
	for generation, want := range map[int]bool{artifact.MaxGeneration: true, artifact.MaxGeneration + 1: false, -1: false} {
		r.ID.Generation = generation
		if _, err := ParseRecord(encode(t, r), r.ID); (err == nil) != want {
			t.Errorf("%d: %v", generation, err)
		}
	}
}

func TestOutputsAreTheSameByContentAndMode(t *testing.T) {
	a := artifact.Output{Path: "a", Digest: sum("x"), Size: 1}
	b := artifact.Output{Path: "b", Digest: sum("x"), Size: 2}
	if !a.Same(b) {
		t.Error("path and size tell nothing about the content")
	}
	for _, change := range []func(*artifact.Output){
		func(o *artifact.Output) { o.Dir = true }, func(o *artifact.Output) { o.Exec = true }, func(o *artifact.Output) { o.Digest = sum("y") },
	} {
		c := a
		change(&c)
		if a.Same(c) {
			t.Errorf("%+v is the same as %+v", a, c)
		}
	}
	if got := Of(artifact.Output{Dir: true, Digest: sum("t")}).String(); got != "tree "+sum("t").String() {
		t.Error(got)
	}
}

func FuzzParseRecord(f *testing.F) {
	if b, err := record().Encode(); err == nil {
		f.Add(b)
	}
	f.Add([]byte(`{"schema":1,"key":"` + recordID().Key.String() + `","Outs":null,"extra":[]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRecord(b, recordID())
		if err != nil {
			return
		}
		once, err := r.Encode()
		if err != nil || !json.Valid(once) {
			t.Fatalf("read, but not written: %v", err)
		}
		again, err := ParseRecord(once, recordID())
		if err != nil {
			t.Fatalf("written, but not read: %v\n%s", err, once)
		}
		if twice, err := again.Encode(); err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%v\n%s\n%s", err, once, twice)
		}
	})
}
