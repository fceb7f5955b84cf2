package s3server_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/pipe-build/pipe/internal/s3server"
)

func TestServerStartsAndStops(t *testing.T) {
	for _, opt := range []s3server.Options{{}, {TLS: true}} {
		s := s3server.Start(t, opt)
		if err := s.NewBucket("another-bucket"); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(filepath.Join(s.Dir, "another-bucket")); err != nil {
			t.Error(err)
		}
		if !slices.Contains(s.Env(), "AWS_ENDPOINT_URL_S3="+s.Endpoint) || (s.CAFile != "") != opt.TLS {
			t.Errorf("environment %q, CA file %q", s.Env(), s.CAFile)
		}
		s.Stop()
		s.Stop()
	}
}
