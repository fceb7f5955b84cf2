package pipe_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pipe-build/pipe/pkg/pipe"
)

func TestAWrongClockIsToldBeforeTheServerRefuses(t *testing.T) {
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", now.Format(http.TimeFormat))
		w.WriteHeader(http.StatusForbidden)
	}))
	defer server.Close()
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	dir := t.TempDir()
	yaml := "remote:\n  main: {url: \"s3://bucket/x\", endpoint: \"" + server.URL + "\"}\nstages: {}\n"
	if err := os.WriteFile(filepath.Join(dir, "pipe.yaml"), []byte(yaml), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, k := range []struct {
		off  time.Duration
		ok   bool
		text string
	}{
		{0, true, "within 1s of that of s3://bucket/x"},
		{4 * time.Minute, true, "within 4m1s"},
		{6 * time.Minute, false, "this machine's clock is 6m0s ahead of that of s3://bucket/x"},
		{-20 * time.Minute, false, "this machine's clock is 20m0s behind that of"},
	} {
		checks := pipe.DoctorCI(t.Context(), pipe.Options{Dir: dir, Now: func() time.Time { return now.Add(k.off) }})
		found := false
		for _, c := range checks {
			if c.Name == "clock" {
				found = c.OK == k.ok && strings.Contains(c.Text, k.text) && (c.Hint == "") == k.ok
			}
		}
		if !found {
			t.Errorf("%s: %+v", k.off, checks)
		}
	}
}
