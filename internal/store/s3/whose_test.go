package s3_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/store/s3"
)

// openAs opens a bucket on a server with credentials of its own.
func openAs(t *testing.T, endpoint string) *s3.Store {
	t.Helper()
	for k, v := range map[string]string{"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "eu-central-1", "AWS_ENDPOINT_URL": "", "AWS_MAX_ATTEMPTS": "1"} {
		t.Setenv(k, v)
	}
	s, err := s3.Open(t.Context(), s3.Config{URL: "s3://bucket/prefix", Endpoint: endpoint})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestAWSSaysWhoseTheCredentialsAre(t *testing.T) {
	asked, status := 0, http.StatusOK
	sts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.WriteHeader(status)
		if status == http.StatusOK {
			fmt.Fprint(w, `<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::1:role/ci</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>`)
			return
		}
		fmt.Fprint(w, `<ErrorResponse><Error><Code>InvalidClientTokenId</Code><Message>no such user</Message></Error></ErrorResponse>`)
	}))
	defer sts.Close()
	t.Setenv("AWS_ENDPOINT_URL_STS", sts.URL)
	for _, endpoint := range []string{"", "https://s3.eu-central-1.amazonaws.com"} {
		if arn, err := openAs(t, endpoint).Whose(t.Context()); err != nil || arn != "arn:aws:iam::1:role/ci" {
			t.Errorf("%q: %q, %v", endpoint, arn, err)
		}
	}
	asked = 0
	if arn, err := openAs(t, "http://127.0.0.1:1").Whose(t.Context()); err != nil || arn != "" || asked > 0 {
		t.Errorf("another server's user: %q, %v, asked AWS %d times", arn, err, asked)
	}
	status = http.StatusForbidden
	if _, err := openAs(t, "").Whose(t.Context()); !diag.Is(err, diag.Auth) {
		t.Errorf("unknown credentials: %v", err)
	}
}

func TestTheServersClockIsInEveryAnswer(t *testing.T) {
	want := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, status := range []int{200, 403, 404} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Date", want.Format(http.TimeFormat))
			w.WriteHeader(status)
		}))
		if got, err := openAs(t, server.URL).Clock(t.Context()); err != nil || !got.Equal(want) {
			t.Errorf("%d: %v, %v", status, got, err)
		}
		server.Close()
	}
	if _, err := openAs(t, "http://127.0.0.1:1").Clock(t.Context()); !diag.Is(err, diag.Network) {
		t.Error(err)
	}
}
