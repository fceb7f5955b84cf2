package s3

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

// answerFactor is how many idle deadlines a server has to answer a POST: to put
// the parts of a large object together it may have to copy them all.
const answerFactor = 20

// errIdle says that a server was silent for too long. It counts as a broken
// connection, which the SDK tries again.
var errIdle error = idleError{}

type idleError struct{}

func (idleError) Error() string   { return "the server was silent for too long" }
func (idleError) Timeout() bool   { return true }
func (idleError) Temporary() bool { return true }

// patient is an HTTP client with the idle deadline that the SDK has not: it
// breaks off a request when neither direction moved a byte for that long.
type patient struct {
	client *http.Client
	idle   time.Duration
}

func newPatient(t *http.Transport, idle time.Duration) *patient {
	return &patient{client: &http.Client{Transport: t, CheckRedirect: keepMethod}, idle: idle}
}

// keepMethod follows what the SDK's own client follows: redirects that keep the
// method, without a session token for another host.
func keepMethod(req *http.Request, via []*http.Request) error {
	if code := req.Response.StatusCode; code != http.StatusTemporaryRedirect && code != http.StatusPermanentRedirect {
		return http.ErrUseLastResponse
	}
	if len(via) >= 10 {
		return errors.New("more than 10 redirects")
	}
	if via[len(via)-1].URL.Host != req.URL.Host {
		req.Header.Del("X-Amz-Security-Token")
	}
	return nil
}

// Do implements aws.HTTPClient.
func (p *patient) Do(req *http.Request) (*http.Response, error) {
	w := &watch{idle: p.idle, after: p.idle}
	if req.Method == http.MethodPost {
		w.after = answerFactor * p.idle
	}
	ctx, cancel := context.WithCancelCause(req.Context())
	w.ctx, w.cancel = ctx, cancel
	first := w.after
	req = req.WithContext(ctx)
	if req.Body != nil && req.Body != http.NoBody {
		req.Body = &sending{req.Body, w}
		first = w.idle
	}
	w.timer = time.AfterFunc(first, func() { cancel(errIdle) })
	resp, err := p.client.Do(req)
	w.timer.Stop()
	if err != nil {
		err = w.reason(err)
		cancel(nil)
		return nil, err
	}
	resp.Body = &receiving{resp.Body, w}
	return resp, nil
}

// watch cancels one request when it is idle.
type watch struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	idle   time.Duration
	after  time.Duration // from the end of the request to its answer
}

// reason returns errIdle in place of the cancellation that it caused.
func (w *watch) reason(err error) error {
	if context.Cause(w.ctx) == errIdle {
		return errIdle
	}
	return err
}

// sending is a request's body: each read by the transport shows that it moves.
type sending struct {
	io.ReadCloser
	w *watch
}

func (b *sending) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.w.timer.Reset(b.w.after)
	} else {
		b.w.timer.Reset(b.w.idle)
	}
	return n, err
}

// receiving is an answer's body. Only the time inside Read counts: a slow caller
// is not a silent server.
type receiving struct {
	io.ReadCloser
	w *watch
}

func (b *receiving) Read(p []byte) (int, error) {
	b.w.timer.Reset(b.w.idle)
	n, err := b.ReadCloser.Read(p)
	b.w.timer.Stop()
	if err != nil && err != io.EOF {
		err = b.w.reason(err)
	}
	return n, err
}

func (b *receiving) Close() error {
	b.w.timer.Stop()
	err := b.ReadCloser.Close()
	b.w.cancel(nil)
	return err
}
