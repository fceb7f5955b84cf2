// Package remote opens shared stores by their URLs.
//
// It is the one place that knows which kinds of remotes there are; all else sees a
// store.Remote. Choose picks one of those in pipe.yaml or takes a URL as it is, Check refuses
// a URL that cannot work, Open makes the store, and Try finds out whether it keeps its
// promises. Only Try makes requests.
//
// Every store that Open returns is wrapped by store.Watched or store.Mounted, so that nobody
// waits for ever, and by store.Marked, so that nothing is written where a newer pipe has left
// its mark. URLs with credentials are refused: a URL stands in pipe.yaml, which is committed,
// and in logs. And no server gets credentials because a repository says so: see Trust.
package remote

import (
	"context"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/disk"
	"github.com/pipe-build/pipe/internal/store/s3"
	"github.com/pipe-build/pipe/pkg/digest"
)

// scheme is one kind of store.
type scheme struct {
	name string // what stands before ://
	form string // of a URL, for people
	// check refuses a remote that open could not take. It touches nothing.
	check func(r spec.Remote) error
	// stranger returns the server that gets credentials because r says so, "" for none: see Trust.
	stranger func(r spec.Remote) string
	// open returns the store, watched; it makes no request.
	open func(ctx context.Context, r spec.Remote, w *store.Watch) (store.Remote, error)
}

// schemes are all kinds but the directory, which has no scheme. A new one is a
// package beside store/s3 and a line here.
var schemes = []scheme{
	{"s3", "s3://BUCKET/PREFIX", s3.CheckRemote, s3.Stranger, s3.OpenRemote},
}

// Forms says which URLs there are, for people.
func Forms() string {
	var forms []string
	for _, s := range schemes {
		forms = append(forms, s.form)
	}
	return strings.Join(append(forms, "a directory"), " or ")
}

// IsURL reports whether a text names a scheme, known or not; else it is a directory.
func IsURL(s string) bool { return strings.Contains(s, "://") }

// Choose returns the remote that want names: one of all by its name, the first of them when
// want is empty, else a URL or a directory, which here makes absolute; nil when there is none.
// A name in pipe.yaml is preferred to a directory with the same name; write ./NAME for that.
func Choose(all []spec.Remote, want string, here func(dir string) string) (*spec.Remote, error) {
	if want == "" {
		if len(all) == 0 {
			return nil, nil
		}
		return &all[0], nil
	}
	for i := range all {
		if all[i].Name == want {
			return &all[i], nil
		}
	}
	switch {
	case IsURL(want) || credentials.MatchString(want): // Open refuses it without repeating it
		return &spec.Remote{Name: given, URL: want}, nil
	case strings.ContainsAny(want, `/\`) || filepath.IsAbs(want):
		return &spec.Remote{Name: given, URL: here(want)}, nil
	}
	return nil, diag.New(diag.Usage, "no remote named %q", want).At(spec.FileName).Hinted("pipe remote list")
}

// Check refuses a remote that Open could not take, at its place. It is also called for remotes
// that are declared and not used, so that faults in pipe.yaml show at once.
func Check(r spec.Remote) error {
	s, err := schemeOf(r)
	if err == nil && s != nil {
		err = s.check(r)
	}
	return err
}

// Options say how a remote is opened.
type Options struct {
	Root     string // a relative directory lies below it
	Trust    Trust  // which servers may have credentials
	Patience store.Patience
	Memory   Memory // nil: none
}

// Memory says which remotes this clone has used before, by their keys.
type Memory interface {
	Used(key string) bool
	Use(key string)
}

// Open returns the store that r describes. It makes no request. The first write to the
// store looks at its marker. A server that is not trusted is not opened: each call of that
// store is refused.
func Open(ctx context.Context, r spec.Remote, o Options) (store.Remote, error) {
	// Even a remote given by a flag, which nobody has checked before.
	if err := Check(r); err != nil {
		return nil, err
	}
	s, err := schemeOf(r)
	if err != nil {
		return nil, err
	}
	if s == nil {
		dir := filepath.FromSlash(r.URL)
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(o.Root, dir)
		}
		mounted := store.Mounted(disk.OpenShared(dir), store.NewWatch(dir, o.Patience))
		return store.Marked(mounted, o.past(r, mounted, true)), nil
	}
	allowed, err := o.Trust.Allows(r)
	if err != nil {
		return nil, err
	}
	if !allowed {
		return store.Marked(refused{r}, store.Past{}), nil
	}
	opened, err := s.open(ctx, r, store.NewWatch(r.URL, o.Patience))
	if err != nil {
		return nil, err
	}
	return store.Marked(opened, o.past(r, opened, false)), nil
}

// given is the name of a remote that pipe.yaml does not name.
const given = "given"

func (o Options) past(r spec.Remote, s store.Remote, mount bool) store.Past {
	past := store.Past{Name: r.Name, Mount: mount}
	if r.Name == given {
		past.Name = r.URL
	}
	if o.Memory != nil {
		key := Key(s)
		past.Used, past.Use = o.Memory.Used(key), func() { o.Memory.Use(key) }
	}
	return past
}

// Key tells a store from all others.
func Key(s store.Remote) string {
	key := s.URL()
	if e, ok := store.As[interface{ Endpoint() string }](s); ok && e.Endpoint() != "" {
		key += " at " + e.Endpoint()
	}
	return key
}

// schemeOf returns the scheme of r's URL, nil for a directory.
func schemeOf(r spec.Remote) (*scheme, error) {
	if credentials.MatchString(r.URL) || credentials.MatchString(r.Endpoint) {
		// The URL itself stays out of the message, which may land in a public log.
		return nil, diag.New(diag.Usage, "the URL of remote %s contains credentials", r.Name).At(r.Place).
			Hinted("remove USER:PASSWORD@ from the URL; pipe uses the credentials of the provider's own tools")
	}
	name, _, ok := strings.Cut(r.URL, "://")
	if !ok {
		return nil, nil
	}
	for i := range schemes {
		if schemes[i].name == name {
			return &schemes[i], nil
		}
	}
	return nil, diag.New(diag.Usage, "remote %s: %s:// is not supported", r.Name, name).At(r.Place).Hinted("use %s", Forms())
}

// credentials is a user in a URL, or USER:PASSWORD@ wherever else it stands. The form alone
// counts: a URL with a typing error holds the same password. A drive's letter is no user.
var credentials = regexp.MustCompile(`://[^/]*@|(^|[/:])[^/:@]{2,}:[^/@]+@`)

// Try really writes to a store, reads back, and tests conditional writes. It leaves one small
// object, the same each time. Conditional writes are what "the first record wins" rests on: a
// store that ignores the condition must be found out before it is relied on.
func Try(ctx context.Context, s store.Remote) error {
	body := []byte("pipe probe\n")
	ref := object.Ref{Digest: digest.Of(body)}
	if err := s.Put(ctx, ref, store.Bytes(body)); err != nil {
		return err
	}
	got, err := store.ReadAll(ctx, s, ref, 1<<10)
	if err != nil {
		return err
	}
	if string(got) != string(body) {
		return diag.New(diag.Integrity, "the remote returned different bytes than pipe wrote").At(s.URL())
	}
	return s.Probe(ctx)
}
