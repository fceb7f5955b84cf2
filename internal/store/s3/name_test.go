package s3_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/s3server"
	"github.com/pipe-build/pipe/internal/store/s3"
)

// TestWhatOthersHavePutIsReadByItsName, and an absent bucket is no absent object.
func TestWhatOthersHavePutIsReadByItsName(t *testing.T) {
	server := start(t, s3server.Options{})
	at := filepath.Join(server.Dir, server.Bucket, "dvc", "files", "md5", "ab")
	if err := errors.Join(os.MkdirAll(at, 0o777), os.WriteFile(filepath.Join(at, "cd.dir"), []byte("bytes"), 0o666)); err != nil {
		t.Fatal(err)
	}
	s := open(t, s3.Config{URL: "s3://" + server.Bucket + "/dvc"})
	r, err := s.OpenName(t.Context(), "files/md5/ab/cd.dir")
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil || string(b) != "bytes" {
		t.Errorf("%q, %v", b, err)
	}
	if ok, err := s.HasName(t.Context(), "files/md5/ab/cd.dir"); !ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
	if _, err := s.OpenName(t.Context(), "no"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
	if ok, err := s.HasName(t.Context(), "no"); ok || err != nil {
		t.Errorf("absent: %v, %v", ok, err)
	}
	none := open(t, s3.Config{URL: "s3://no-such-bucket/dvc"})
	if _, err := none.OpenName(t.Context(), "no"); err == nil || errors.Is(err, fs.ErrNotExist) || diag.All(err)[0].Hint == "" {
		t.Errorf("no bucket: %v", err)
	}
	if _, err := none.HasName(t.Context(), "no"); err == nil {
		t.Error("no bucket: no error")
	}
}
