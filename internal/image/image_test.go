package image

import (
	"strings"
	"testing"
)

const pinned = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestNamesAreReadAsDockerReadsThem(t *testing.T) {
	long := strings.Repeat("a", 255)
	for text, want := range map[string]Name{
		"alpine":                      {Hub, "library/alpine", "latest", ""},
		"alpine:3.20":                 {Hub, "library/alpine", "3.20", ""},
		"bitnami/redis:7":             {Hub, "bitnami/redis", "7", ""},
		"docker.io/alpine":            {Hub, "library/alpine", "latest", ""},
		"docker.io/library/alpine":    {Hub, "library/alpine", "latest", ""},
		"index.docker.io/o/i:1":       {Hub, "o/i", "1", ""},
		"registry-1.docker.io/alpine": {Hub, "library/alpine", "latest", ""},
		"ghcr.io/o/i:tag":             {"ghcr.io", "o/i", "tag", ""},
		"ghcr.io/i":                   {"ghcr.io", "i", "latest", ""},
		"localhost/x":                 {"localhost", "x", "latest", ""},
		"localhost:5000/x":            {"localhost:5000", "x", "latest", ""},
		"localhost:5000/x:5":          {"localhost:5000", "x", "5", ""},
		"Host/x":                      {"Host", "x", "latest", ""},
		"127.0.0.1:5000/a/b/c":        {"127.0.0.1:5000", "a/b/c", "latest", ""},
		"[::1]:5000/x:1":              {"[::1]:5000", "x", "1", ""},
		"a__b/c---d.e_f":              {Hub, "a__b/c---d.e_f", "latest", ""},
		"alpine@" + pinned:            {Hub, "library/alpine", "", pinned},
		"ghcr.io/o/i:1@" + pinned:     {"ghcr.io", "o/i", "", pinned},
		"q.io/x@sha512:" + pinned[7:] + pinned[7:]: {"q.io", "x", "", "sha512:" + pinned[7:] + pinned[7:]},
		"q.io/" + long: {"q.io", long, "latest", ""},
	} {
		if got, err := Parse(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
}

func TestWhatIsNoNameOfAnImageIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":                                   "path",
		"Alpine":                             "path",
		"alpine:":                            "tag",
		"alpine:-1":                          "tag",
		"alpine:" + strings.Repeat("1", 129): "tag",
		"alpine:1:2":                         "tag",
		"a b":                                "path",
		"a//b":                               "path",
		"a/":                                 "path",
		"/a":                                 "path",
		"a___b":                              "path",
		"a..b/c":                             "host",
		"q.io/":                              "path",
		"q.io:port/x":                        "host",
		"q.io/" + strings.Repeat("a", 256):   "path",
		"https://ghcr.io/o/i":                "scheme",
		"docker://alpine":                    "scheme",
		"alpine@sha256:12":                   "digest",
		"alpine@md5:" + pinned[7:]:           "digest",
		"alpine@" + strings.ToUpper(pinned):  "digest",
		"alpine@":                            "digest",
		"u:p@q.io/x":                         "digest",
		"../x":                               "host",
		"x\n":                                "path",
	} {
		if got, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}

func TestLocalIsWhatNamesThisMachine(t *testing.T) {
	for text, want := range map[string]bool{
		"localhost/x": true, "localhost:5000/x": true, "127.0.0.1:1/x": true, "127.8.0.1/x": true, "[::1]:5/x": true, "[::1]/x": true,
		"localhost.evil.io/x": false, "alpine": false, "10.0.0.1:5000/x": false, "127.0.0.1.evil.io/x": false, "[::2]:1/x": false,
	} {
		n, err := Parse(text)
		if err != nil || n.IsLocal() != want {
			t.Errorf("%s: %+v, %v", text, n, err)
		}
	}
}
