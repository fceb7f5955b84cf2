package object

import (
	"bytes"
	"encoding/json"
	"errors"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/pipe-build/pipe/pkg/digest"
)

func recordKey() digest.Key { return digest.Key(sum("key")) }

func record() *Record {
	return &Record{
		Schema: RecordSchema, Key: recordKey(), Stage: "build",
		Outs: []Output{
			{Path: "dist/<app> & ü", Exec: true, Digest: sum("app"), Size: 3},
			{Path: "dist/static", Dir: true, Digest: tree().Digest(), Size: 0, Files: 2},
		},
		By: "ann@example.org", At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Seconds: 1.5,
		Commit: "0123456789abcdef0123456789abcdef01234567", Log: sum("log"), Version: "1.0.0",
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
	golden(t, filepath.Join("testdata", "record", "full.json"), encode(t, record()))
	least := &Record{Schema: RecordSchema, Key: recordKey(), Stage: "s", Outs: []Output{}, At: time.Unix(0, 0).UTC()}
	golden(t, filepath.Join("testdata", "record", "least.json"), encode(t, least))
}

func TestParseRecordReadsWhatEncodeWrote(t *testing.T) {
	want := record()
	got, err := ParseRecord(encode(t, want), recordKey())
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\ngot  %+v\nwant %+v", err, got, want)
	}
}

func TestUnknownFieldsOfARecordSurvive(t *testing.T) {
	b := bytes.Replace(encode(t, record()), []byte("{"), []byte(`{"provenance":{"z":1,"a":"<&>","n":12345678901234567890.0100},"signature":null,`), 1)
	r, err := ParseRecord(b, recordKey())
	if err != nil {
		t.Fatal(err)
	}
	again := encode(t, r)
	for _, want := range []string{`"provenance":{"a":"<&>","n":12345678901234567890.0100,"z":1}`, `"signature":null`} {
		if !bytes.Contains(again, []byte(want)) {
			t.Errorf("%s is not in\n%s", want, again)
		}
	}
	if twice, err := ParseRecord(again, recordKey()); err != nil || !bytes.Equal(encode(t, twice), again) {
		t.Errorf("the second time it changes: %v", err)
	}
}

func TestParseRecordRefuses(t *testing.T) {
	good := string(encode(t, record()))
	for name, change := range map[string][2]string{
		"a later schema":      {`"schema":1`, `"schema":2`},
		"no schema":           {`"schema":1,`, ``},
		"another key":         {recordKey().String(), digest.Key(sum("other")).String()},
		"a key that is none":  {recordKey().String(), "abc"},
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
	} {
		text := strings.Replace(good, change[0], change[1], 1)
		if text == good {
			t.Fatalf("%s: the change changed nothing", name)
		}
		if r, err := ParseRecord([]byte(text), recordKey()); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %+v, %v; want ErrMalformed", name, r, err)
		}
	}
	if _, err := ParseRecord(make([]byte, MaxRecord+1), recordKey()); !errors.Is(err, ErrMalformed) {
		t.Errorf("a huge record: %v", err)
	}
}

func TestOutputsAreTheSameByContentAndMode(t *testing.T) {
	a := Output{Path: "a", Digest: sum("x"), Size: 1}
	b := Output{Path: "b", Digest: sum("x"), Size: 2}
	if !a.Same(b) {
		t.Error("path and size tell nothing about the content")
	}
	for _, change := range []func(*Output){
		func(o *Output) { o.Dir = true }, func(o *Output) { o.Exec = true }, func(o *Output) { o.Digest = sum("y") },
	} {
		c := a
		change(&c)
		if a.Same(c) {
			t.Errorf("%+v is the same as %+v", a, c)
		}
	}
	if got := (Output{Dir: true, Digest: sum("t")}).Ref().String(); got != "tree "+sum("t").String() {
		t.Error(got)
	}
}

func FuzzParseRecord(f *testing.F) {
	if b, err := record().Encode(); err == nil {
		f.Add(b)
	}
	f.Add([]byte(`{"schema":1,"key":"` + recordKey().String() + `","Outs":null,"extra":[]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRecord(b, recordKey())
		if err != nil {
			return
		}
		once, err := r.Encode()
		if err != nil || !json.Valid(once) {
			t.Fatalf("read, but not written: %v", err)
		}
		again, err := ParseRecord(once, recordKey())
		if err != nil {
			t.Fatalf("written, but not read: %v\n%s", err, once)
		}
		if twice, err := again.Encode(); err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%v\n%s\n%s", err, once, twice)
		}
	})
}
