package artifact_test

import (
	"strings"
	"testing"

	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
)

func TestEachKindOfNameHasItsAnswers(t *testing.T) {
	hex := strings.Repeat("0123456789abcdef", 4)
	for answer, want := range map[string]struct{ image, url bool }{
		"sha256:" + hex:       {image: true},
		"sha512:" + hex + hex: {image: true},
		"blake3:" + hex:       {url: true},
		`etag:"!#~\"`:         {url: true},
		`etag:"` + strings.Repeat("x", 254) + `"`: {url: true},
		`etag:"` + strings.Repeat("x", 255) + `"`: {},
		"":                                       {},
		hex:                                      {},
		"sha256:" + hex[1:]:                      {},
		"sha256:" + hex + "0":                    {},
		"sha256:" + strings.ToUpper(hex):         {},
		"sha512:" + hex:                          {},
		"sha1:" + hex[:40]:                       {},
		"blake3:" + hex[1:]:                      {},
		"blake3:" + digest.Digest{}.Hex() + "\n": {},
		`etag:""`:                                {},
		`etag:"`:                                 {},
		`etag:x`:                                 {},
		`etag:"a"b"`:                             {},
		`etag:"a b"`:                             {},
		`etag:W/"a"`:                             {},
		"etag:\"\u00e9\"":                        {},
		"etag:\"\x7f\"":                          {},
		"etag:\"\xff\"":                          {},
	} {
		n := artifact.Named{Name: "x", Answer: answer}
		if image, url := n.CheckImage() == nil, n.CheckURL() == nil; image != want.image || url != want.url {
			t.Errorf("%q: of an image %t, of a URL %t", answer, image, url)
		}
	}
	for _, name := range []string{"", strings.Repeat("x", artifact.MaxTool+1)} {
		if n := (artifact.Named{Name: name, Answer: "sha256:" + hex}); n.CheckImage() == nil {
			t.Errorf("a name of %d bytes is taken", len(name))
		}
	}
}

func TestNoBadPartOfWhatIsAskedForIsTaken(t *testing.T) {
	good := artifact.Asked{
		Tools:  []artifact.Tool{{Cmd: "v", Digest: digest.Of(nil)}},
		Images: []artifact.Named{{Name: "a", Answer: "sha256:" + digest.Of(nil).Hex()}},
		URLs:   []artifact.Named{{Name: "https://h/x", Answer: digest.Of(nil).String()}},
	}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for _, bad := range []artifact.Asked{
		{Tools: []artifact.Tool{{}}}, {Images: good.URLs}, {URLs: good.Images},
	} {
		if bad.Check() == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}
