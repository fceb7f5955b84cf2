package remote_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/remote"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/storetest"
)

func TestCheckTakesWhatCanBeOpened(t *testing.T) {
	for _, url := range []string{"s3://bucket", "s3://bucket/a/prefix", "/abs/dir", "../remote", `C:\share`} {
		if err := remote.Check(spec.Remote{Name: "main", URL: url}); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	for _, url := range []string{"s3://", "s3:///prefix", "s3://bucket?x=1", "gs://bucket/x", "://x"} {
		err := remote.Check(spec.Remote{Name: "main", URL: url, Place: "pipe.yaml:1:9"})
		var d *diag.Error
		if !errors.As(err, &d) || d.Kind != diag.Usage || d.Hint == "" {
			t.Errorf("%s: %v", url, err)
		}
		if _, oerr := remote.Open(t.Context(), spec.Remote{Name: "main", URL: url}, remote.Options{}); !diag.Is(oerr, diag.Usage) {
			t.Errorf("open %s: %v", url, oerr)
		}
	}
}

func TestCredentialsInAURLAreRefusedAndNotRepeated(t *testing.T) {
	for _, r := range []spec.Remote{
		{Name: "main", URL: "s3://AKIA123:geheim@bucket/prefix"},
		{Name: "main", URL: "s3://AKIA123:ge%heim@bucket"},
		{Name: "main", URL: "s3://bucket/prefix", Endpoint: "https://AKIA123:geheim@minio:9000/x"},
		{Name: "main", URL: "gs://AKIA123:geheim@bucket/prefix"},
		{Name: "main", URL: "AKIA123:geheim@nas/share"},
		{Name: "main", URL: "s3:/AKIA123:geheim@bucket"},
		{Name: "main", URL: "s3:AKIA123:geheim@bucket"},
		{Name: "main", URL: "/mnt/AKIA123:geheim@nas"},
	} {
		r.Place = "pipe.yaml:3:9"
		err := remote.Check(r)
		if !diag.Is(err, diag.Usage) || !strings.Contains(err.Error(), "pipe.yaml:3:9: the URL of remote main contains credentials") ||
			strings.Contains(err.Error(), "heim") || strings.Contains(err.Error(), "AKIA") {
			t.Errorf("%s: %v", r.URL, err)
		}
	}
	for _, r := range []spec.Remote{{URL: "s3://bucket/a@b", Endpoint: "https://minio:9000/a@b"}, {URL: `C:\a@b`}, {URL: "/mnt/a@b"}, {URL: "../a:b"}} {
		if err := remote.Check(r); err != nil {
			t.Errorf("%+v: %v", r, err)
		}
	}
	for _, want := range []string{"AKIA123:geheim@nas", "s3://AKIA123:geheim@bucket"} {
		r, err := remote.Choose(nil, want, func(dir string) string { return dir })
		if err == nil {
			_, err = remote.Open(t.Context(), *r, remote.Options{})
		}
		if !diag.Is(err, diag.Usage) || strings.Contains(err.Error(), "heim") {
			t.Errorf("-r %s: %v", want, err)
		}
	}
}

func TestARelativeDirectoryLiesBelowTheProject(t *testing.T) {
	root := t.TempDir()
	r, err := remote.Open(t.Context(), spec.Remote{URL: "../shared"}, remote.Options{Root: filepath.Join(root, "p")})
	if err != nil {
		t.Fatal(err)
	}
	b := []byte("x")
	if err := r.Put(t.Context(), storetest.File(b), store.Bytes(b)); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(root, "shared", store.MarkerName))
	if err != nil || string(got) != "{\"schema\":1}\n" {
		t.Errorf("the marker: %q, %v", got, err)
	}
	if _, ok := store.As[store.Lister](r); !ok {
		t.Error("a directory lists")
	}
}

func TestEveryRemoteIsMarked(t *testing.T) {
	for _, url := range []string{"s3://bucket/prefix", t.TempDir()} {
		r, err := remote.Open(t.Context(), spec.Remote{URL: url, Region: "eu-central-1"}, remote.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if reflect.TypeOf(r) != reflect.TypeOf(store.Marked(nil, store.Past{})) {
			t.Errorf("%s is opened as %T", url, r)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}
