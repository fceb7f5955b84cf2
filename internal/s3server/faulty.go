package s3server

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"
)

// Faulty is a proxy before a server that harms some of the requests.
type Faulty struct {
	Endpoint string // http://127.0.0.1:port

	to   string
	back *http.Transport

	mu    sync.Mutex
	rand  *rand.Rand
	share float64
	done  map[string]int
}

// The ways to harm a request. The last half of them needs an answer with a body, and is
// a lost answer where there is none.
const (
	refused429 = iota
	refused503
	refused500
	failed500 // though it was handled
	resetBefore
	resetAfter // the answer is lost
	delayed
	truncated // the connection breaks within the body
	shortened // the body is shorter, and its announced length with it
	flipped
	stalled // nothing comes for a while, and then the connection breaks
	harms
)

func harmName(n int) string {
	return [...]string{"429", "503", "500", "500 after it was handled", "reset", "answer lost", "delayed", "truncated", "shortened", "flipped", "stalled"}[n]
}

// Faulty starts a proxy that harms a share of all requests, chosen by seed: with requests
// at once the same seed harms others, as their order differs. It ends with the test,
// and says what it did when the test failed.
func (s *Server) Faulty(t testing.TB, seed uint64, share float64) *Faulty {
	t.Helper()
	f := &Faulty{
		to: s.Endpoint, back: transport(),
		rand: rand.New(rand.NewPCG(seed, 0)), share: share, done: map[string]int{},
	}
	front := httptest.NewServer(f)
	f.Endpoint = front.URL
	t.Cleanup(func() {
		front.Close()
		if t.Failed() {
			t.Logf("seed %d; harmed: %v", seed, f.Harmed())
		}
	})
	return f
}

// Harmed returns how often each harm was done.
func (f *Faulty) Harmed() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := map[string]int{}
	for k, n := range f.done {
		out[k] = n
	}
	return out
}

// Stop ends all harm.
func (f *Faulty) Stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.share = 0
}

// choose returns a harm, or -1, and a number for its details.
func (f *Faulty) choose() (harm int, detail uint32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.rand.Float64() >= f.share {
		return -1, 0
	}
	harm = f.rand.IntN(harms)
	f.done[harmName(harm)]++
	return harm, f.rand.Uint32()
}

// ServeHTTP implements http.Handler.
func (f *Faulty) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	harm, detail := f.choose()
	switch harm {
	case refused429:
		w.Header().Set("Retry-After", strconv.Itoa(int(detail%2)))
		refuse(w, r, http.StatusTooManyRequests, "TooManyRequests")
		return
	case refused503:
		refuse(w, r, http.StatusServiceUnavailable, "SlowDown")
		return
	case refused500:
		refuse(w, r, http.StatusInternalServerError, "InternalError")
		return
	case resetBefore:
		reset(w)
		return
	case delayed:
		pause(r)
	}
	answer, body, err := pass(f.back, f.to, r)
	if err != nil {
		reset(w)
		return
	}
	switch {
	case harm == failed500:
		refuse(w, r, http.StatusInternalServerError, "InternalError")
		return
	case harm == resetAfter, harm > delayed && len(body) == 0:
		reset(w)
		return
	// Nothing tells that another key stands in a list.
	case harm == flipped && !r.URL.Query().Has("list-type"):
		body[int(detail)%len(body)] ^= 1 << (detail >> 29)
	case harm == shortened:
		body = body[:int(detail)%len(body)]
		answer.Header.Set("Content-Length", strconv.Itoa(len(body)))
	}
	for k, v := range answer.Header {
		w.Header()[k] = v
	}
	w.WriteHeader(answer.StatusCode)
	if harm == truncated || harm == stalled {
		body = body[:int(detail)%len(body)]
	}
	if _, err := w.Write(body); err != nil {
		return
	}
	if harm == truncated || harm == stalled {
		_ = http.NewResponseController(w).Flush()
		if harm == stalled {
			pause(r)
		}
		reset(w)
	}
}

// refuse answers in the server's place.
func refuse(w http.ResponseWriter, r *http.Request, status int, code string) {
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>on purpose</Message></Error>", code)
	}
}

// reset breaks the connection, so that the client's system says "connection reset".
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// pause waits for a while, as long as the client does.
func pause(r *http.Request) {
	select {
	case <-time.After(100 * time.Millisecond):
	case <-r.Context().Done():
	}
}
