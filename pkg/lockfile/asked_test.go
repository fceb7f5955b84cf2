package lockfile

import (
	"bytes"
	"testing"

	"github.com/pipe-build/pipe/pkg/artifact"
)

// A block with fields beginning with x- is written as it was read only while images and URLs are the same, too.
func TestAnotherAnswerIsWritten(t *testing.T) {
	s := small("b")
	s.URLs = []artifact.Named{{Name: "https://h/x", Answer: `etag:"1"`}}
	lock := head + forged(string(s.append(nil)), "    sum", "    x-note: 1\n    sum")
	for _, change := range []func(*Stage){
		func(s *Stage) { s.URLs[0].Answer = `etag:"2"` },
		func(s *Stage) { s.Images = []artifact.Named{{Name: "a:1", Answer: "sha256:" + sum("a").Hex()}} },
	} {
		f, err := Parse(FileName, []byte(lock))
		if err != nil || len(f.Stages) != 1 || !bytes.Equal(f.Encode(), []byte(lock)) {
			t.Fatalf("%+v, %v", f, err)
		}
		change(&f.Stages[0])
		if got := f.Encode(); bytes.Contains(got, []byte("x-note")) {
			t.Errorf("written as it was read:\n%s", got)
		}
	}
}
