package s3

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/pipe-build/pipe/internal/par"
)

// How often one request is sent. When every tenth fails, one of ten million fails for
// good; a server that refuses all of them is given up after half a minute, and after
// maxAttempts*maxBackoff at most, whatever it asks for.
const (
	maxAttempts = 7
	maxBackoff  = 7 * time.Second
)

// silences is how often a connection on which nothing moves is given up, in a row: each
// costs the whole idle time, and a server that is silent three times is down.
const silences = 3

// retryer is the SDK's, with what it leaves out: 429, answers that were damaged on the
// way, Retry-After, and fewer tries where each one waits for a silent server. It allows
// as many retries at once as all workers can need.
func retryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = maxAttempts
		o.MaxBackoff = maxBackoff
		o.Retryables = append(o.Retryables,
			retry.RetryableErrorCode{Codes: damaged()},
			retry.RetryableHTTPStatusCode{Codes: map[int]struct{}{http.StatusTooManyRequests: {}, http.StatusRequestTimeout: {}}},
			retry.IsErrorRetryableFunc(garbled))
		throttles := append(retry.IsErrorThrottles{retry.IsErrorThrottleFunc(throttled)}, o.Throttles...)
		o.Backoff = retry.BackoffDelayerFunc(func(attempt int, err error) (time.Duration, error) {
			return backoff(attempt, err, throttles.IsErrorThrottle(err).Bool())
		})
		o.RateLimiter = ratelimit.NewTokenRateLimit(workers * maxAttempts * retry.DefaultRetryTimeoutCost)
	})
}

// damaged are the answers to a body that was harmed on the way: nothing is stored.
func damaged() map[string]struct{} {
	return map[string]struct{}{"BadDigest": {}, "XAmzContentSHA256Mismatch": {}, "IncompleteBody": {}}
}

// garbled reports an answer that is no answer of S3: its text was cut or changed on the
// way. A 404 is looked at closely, since "it is not there" is acted on.
func garbled(err error) aws.Ternary {
	var text *smithy.DeserializationError
	if errors.As(err, &text) {
		return aws.TrueTernary
	}
	code := codeOf(err)
	if codeIs(err, http.StatusNotFound) && !missing(err) && !unknownUser(code) && code != "NoSuchBucket" && code != "NoSuchUpload" {
		return aws.TrueTernary
	}
	return aws.UnknownTernary
}

// throttled reports a server that has too much to do, whatever code stands in its answer.
func throttled(err error) aws.Ternary {
	if codeIs(err, http.StatusTooManyRequests) || codeIs(err, http.StatusServiceUnavailable) {
		return aws.TrueTernary
	}
	return aws.UnknownTernary
}

// backoff returns how long to wait after the attempt, the first of which is 1: a random
// part of a time that doubles, or what the server asks for, up to maxBackoff. An
// error ends the retries.
func backoff(attempt int, err error, busy bool) (time.Duration, error) {
	if attempt >= silences && silent(err) {
		return 0, err
	}
	base := 100 * time.Millisecond
	if busy {
		base = 500 * time.Millisecond
	}
	most := min(maxBackoff, base<<min(attempt, 10))
	return max(rand.N(most), min(retryAfter(err), maxBackoff)), nil
}

// silent reports that an idle time or the time to connect has run out.
func silent(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// retryAfter is what the server asks for, RFC 9110 10.2.3, in seconds; a date is none of
// S3's forms.
func retryAfter(err error) time.Duration {
	var r *awshttp.ResponseError
	if !errors.As(err, &r) || r.Response == nil {
		return 0
	}
	s, err := strconv.Atoi(r.Response.Header.Get("Retry-After"))
	if err != nil || s < 0 {
		return 0
	}
	return time.Duration(s) * time.Second
}

// pause waits after attempt n, the first of which is 1; cause is why it failed.
func pause(ctx context.Context, n int, cause error) error {
	d, err := backoff(n, cause, throttled(cause).Bool())
	if err != nil {
		return err
	}
	return par.Sleep(ctx, d)
}
