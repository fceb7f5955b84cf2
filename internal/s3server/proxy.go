package s3server

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"
)

// Unruly is how a proxy before a server misbehaves. The zero value passes everything on.
type Unruly struct {
	Seed    uint64
	Lost    float64 // share of the writes whose answer does not come, though the server has done them
	Refused float64 // share of all requests that are answered 503 and not passed on
	Deaf    bool    // conditions are not passed on: a server that does not know them
	Dates   Dates
}

// Dates is what becomes of the dates of answers.
type Dates string

// What may become of them.
const (
	DatesKept      Dates = ""
	NoDate         Dates = "no-date"
	NoLastModified Dates = "no-last-modified"
	DateTooEarly   Dates = "too-early" // Date is an hour before Last-Modified
)

// Proxy stands before a server, misbehaves as it is told, and counts.
type Proxy struct {
	Endpoint string // http://127.0.0.1:port

	server *Server
	opt    Unruly
	front  *httptest.Server
	back   *http.Transport

	mu   sync.Mutex
	rand *rand.Rand
	log  []string // method and path with query of each request
	late []lateWrite
}

// lateWrite is a write that comes late.
type lateWrite struct {
	part string
	by   time.Duration
}

// Proxy starts a proxy before a server without TLS. Each has counts of its own; with requests at
// once the same seed harms others, as their order differs. The caller calls Close.
func (s *Server) Proxy(opt Unruly) *Proxy {
	p := &Proxy{server: s, opt: opt, back: transport(), rand: rand.New(rand.NewPCG(opt.Seed, 0))}
	p.front = httptest.NewServer(p)
	p.Endpoint = p.front.URL
	return p
}

// Close ends the proxy when what it passes on has been answered, late writes, too.
func (p *Proxy) Close() { p.front.Close() }

// Late makes the next write whose path contains part reach the server later, whether or not the
// client still waits for an answer.
func (p *Proxy) Late(part string, by time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.late = append(p.late, lateWrite{part, by})
}

// Log returns the requests that have come whole so far, each as its method and its path with the query.
func (p *Proxy) Log() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.log...)
}

// Count returns how many requests had the method, "" for any, and part in path or query.
func (p *Proxy) Count(method, part string) (n int) {
	for _, line := range p.Log() {
		m, rest, _ := strings.Cut(line, " ")
		if (method == "" || m == method) && strings.Contains(rest, part) {
			n++
		}
	}
	return n
}

// fate is what is done to one request.
type fate struct {
	refused, lost bool
	late          time.Duration
}

// decide writes a request down and says what is done to it.
func (p *Proxy) decide(r *http.Request) (f fate) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.log = append(p.log, r.Method+" "+r.URL.RequestURI())
	f.refused, f.lost = p.rand.Float64() < p.opt.Refused, p.rand.Float64() < p.opt.Lost
	if r.Method != http.MethodPut && r.Method != http.MethodPost {
		f.lost = false
		return f
	}
	for i, l := range p.late {
		if strings.Contains(r.URL.Path, l.part) {
			p.late, f.late = append(p.late[:i:i], p.late[i+1:]...), l.by
			break
		}
	}
	return f
}

// ServeHTTP implements http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// The whole of it is here before anything is done: a client that goes cannot call it back.
	b, err := io.ReadAll(r.Body)
	if err != nil {
		reset(w)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(b))
	f := p.decide(r)
	if f.refused {
		refuse(w, r, http.StatusServiceUnavailable, "SlowDown")
		return
	}
	if p.opt.Deaf {
		p.server.unconditional(r)
	}
	if f.late > 0 {
		r = r.WithContext(context.WithoutCancel(r.Context()))
		<-time.After(f.late)
	}
	answer, body, err := pass(p.back, p.server.Endpoint, r)
	if err != nil || f.lost {
		reset(w)
		return
	}
	p.dates(answer.Header)
	for k, v := range answer.Header {
		w.Header()[k] = v
	}
	w.WriteHeader(answer.StatusCode)
	_, _ = w.Write(body)
}

// dates does to an answer's dates what was asked for.
func (p *Proxy) dates(h http.Header) {
	switch p.opt.Dates {
	case NoDate:
		h["Date"] = nil // else the Go server adds one
	case NoLastModified:
		h.Del("Last-Modified")
	case DateTooEarly:
		if at, err := http.ParseTime(h.Get("Last-Modified")); err == nil {
			h.Set("Date", at.Add(-time.Hour).UTC().Format(http.TimeFormat))
		}
	}
}

// transport returns what asks a server as the client did.
func transport() *http.Transport {
	return &http.Transport{DisableKeepAlives: true, DisableCompression: true}
}

// pass asks the server at the URL to. The request's host is signed, so it stays.
func pass(back *http.Transport, to string, r *http.Request) (*http.Response, []byte, error) {
	out, err := http.NewRequestWithContext(r.Context(), r.Method, to+r.URL.RequestURI(), r.Body)
	if err != nil {
		return nil, nil, err
	}
	out.Header, out.Host, out.ContentLength = r.Header.Clone(), r.Host, r.ContentLength
	answer, err := back.RoundTrip(out)
	if err != nil {
		return nil, nil, err
	}
	body, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if r.Method != http.MethodHead {
		answer.Header.Set("Content-Length", fmt.Sprint(len(body)))
	}
	return answer, body, err
}
