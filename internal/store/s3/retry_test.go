package s3

import (
	"errors"
	"net/http"
	"os"
	"testing"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// answered is an error answer with headers.
func answered(status int, retryAfter string) error {
	r := &http.Response{StatusCode: status, Header: http.Header{"Retry-After": {retryAfter}}}
	return &awshttp.ResponseError{ResponseError: &smithyhttp.ResponseError{Response: &smithyhttp.Response{Response: r}, Err: errors.New("no")}}
}

func TestTheWaitBetweenTriesGrowsAndIsBounded(t *testing.T) {
	reset := errors.New("connection reset")
	var sum time.Duration
	for n := 1; n < maxAttempts; n++ {
		var most time.Duration
		for range 200 {
			d, err := backoff(n, reset, false)
			if err != nil || d < 0 || d > min(maxBackoff, 100*time.Millisecond<<n) {
				t.Fatalf("try %d: %v, %v", n, d, err)
			}
			most = max(most, d)
		}
		if sum += most; most < 50*time.Millisecond<<n {
			t.Errorf("try %d waits %v at most", n, most)
		}
		if d, err := backoff(n, answered(503, "100000"), true); err != nil || d != maxBackoff {
			t.Errorf("Retry-After: 100000: %v, %v", d, err)
		}
	}
	if sum+maxBackoff > time.Minute || maxAttempts*maxBackoff > time.Minute {
		t.Errorf("all tries wait for %v", sum)
	}
	for text, least := range map[string]time.Duration{"5": 5 * time.Second, "-5": 0, "soon": 0, "": 0} {
		if d, err := backoff(1, answered(503, text), false); err != nil || d < least || d > least+200*time.Millisecond {
			t.Errorf("Retry-After: %s: %v, %v", text, d, err)
		}
	}
}

func TestASilentServerIsAskedThreeTimes(t *testing.T) {
	for n := 1; n < maxAttempts; n++ {
		if _, err := backoff(n, os.ErrDeadlineExceeded, false); (err != nil) != (n >= silences) {
			t.Errorf("after try %d: %v", n, err)
		}
	}
	if silences*defaultIdle >= time.Minute {
		t.Error("that takes more than a minute")
	}
}
