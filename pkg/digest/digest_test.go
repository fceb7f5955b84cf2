package digest_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/pkg/digest"
)

// The first two are of the BLAKE3 team's own test vectors: b3sum prints the same.
func TestADigestIsWhatB3sumPrints(t *testing.T) {
	for content, want := range map[string]string{
		"":     "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
		"\x00": "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
		"abc":  "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85",
	} {
		if got := digest.Of([]byte(content)).Hex(); got != want {
			t.Errorf("%q: %s, want %s", content, got, want)
		}
		h := digest.NewHasher()
		var copied strings.Builder
		d, n, err := h.Copy(t.Context(), &copied, strings.NewReader(content), make([]byte, 2))
		if err != nil || d.Hex() != want || n != int64(len(content)) || copied.String() != content || h.Len() != n {
			t.Errorf("%q copied: %s, %d bytes, %v", content, d, n, err)
		}
	}
}

func TestOnlyTheCanonicalTextIsADigest(t *testing.T) {
	d := digest.Of([]byte("x"))
	if got, err := digest.Parse(d.String()); err != nil || got != d {
		t.Errorf("%s, %v", got, err)
	}
	for _, s := range []string{
		"", "blake3:", d.Hex(), "sha256:" + d.Hex(), "BLAKE3:" + d.Hex(), "blake3:" + strings.ToUpper(d.Hex()),
		d.String()[:70], d.String() + "0", " " + d.String(), "blake3:" + strings.Repeat("g", 64),
	} {
		if got, err := digest.Parse(s); !errors.Is(err, digest.ErrMalformed) {
			t.Errorf("%q: %s, %v", s, got, err)
		}
	}
	if _, err := digest.ParseKey(d.String()); !errors.Is(err, digest.ErrMalformed) {
		t.Errorf("a digest is a key: %v", err)
	}
}

func TestDigestsAndKeysGoThroughJSON(t *testing.T) {
	type both struct {
		D digest.Digest
		K digest.Key
	}
	want := both{digest.Of([]byte("d")), digest.Key(digest.Of([]byte("k")))}
	b, err := json.Marshal(want)
	if err != nil || string(b) != `{"D":"`+want.D.String()+`","K":"`+want.K.String()+`"}` {
		t.Errorf("%s, %v", b, err)
	}
	var got both
	if err := json.Unmarshal(b, &got); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
}

// LESSONS 20: bytes moved over a border of fields give another key.
func TestFramesKeepTheirFieldsApart(t *testing.T) {
	frame := func(fields ...string) digest.Key {
		f := digest.NewFrame("test 1")
		for _, s := range fields {
			f.String(s)
		}
		return f.Sum()
	}
	seen := map[digest.Key][]string{}
	for _, fields := range [][]string{{}, {""}, {"", ""}, {"ab"}, {"a", "b"}, {"ab", ""}, {"", "ab"}, {"a\x01b"}, {strings.Repeat("a", 128)}, {strings.Repeat("a", 127), "a"}} {
		k := frame(fields...)
		if other, ok := seen[k]; ok {
			t.Errorf("%q and %q have one key", fields, other)
		}
		seen[k] = fields
	}
	if digest.NewFrame("test 2").Sum() == frame() {
		t.Error("another salt, the same key")
	}
}
