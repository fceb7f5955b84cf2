package remote

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/canon"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/settings"
	"github.com/pipe-build/pipe/internal/shell"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/s3"
)

// Trust is which servers get credentials though only pipe.yaml names them. Whoever may change
// pipe.yaml, in a pull request too, names a server; so the user's word for it is kept where no
// repository can write: in their configuration directory, or in a variable of the CI.
type Trust struct{ Environ []string }

// trustFile is the list of servers in the user's configuration directory.
const trustFile = "trusted-endpoints.json"

// trustSchema is the number of its form.
const trustSchema = 1

// trusted is the form of trustFile: canonical JSON, its entries sorted.
type trusted struct {
	Schema    int     `json:"schema"`
	Endpoints []entry `json:"endpoints"`
}

// entry is what was trusted, all of it: the same server for another remote, or with another
// profile's credentials, is another question.
type entry struct {
	Profile string `json:"profile"`
	Remote  string `json:"remote"`
	URL     string `json:"url"` // in its normal form
}

// Stranger returns the server that r needs trust for, in its normal form; "" when r
// needs none.
func Stranger(r spec.Remote) string {
	s, err := schemeOf(r)
	if err != nil || s == nil {
		return ""
	}
	return s.stranger(r)
}

// Allows reports whether r may be used: it needs no trust, the user trusts its server, or
// a variable of the environment names that server, too.
func (t Trust) Allows(r spec.Remote) (bool, error) {
	url := Stranger(r)
	if url == "" {
		return true, nil
	}
	for _, name := range []string{"PIPE_TRUST_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"} {
		if v, _ := shell.Getenv(t.Environ, name); v != "" && s3.Server(v) == url {
			return true, nil
		}
	}
	dir, err := t.dir()
	if err != nil {
		return false, nil //nolint:nilerr // without a configuration directory nothing is trusted
	}
	list, err := readTrusted(filepath.Join(dir, trustFile))
	return slices.Contains(list, entry{r.Profile, r.Name, url}), err
}

// Add trusts the server of r from now on.
func (t Trust) Add(ctx context.Context, r spec.Remote) error {
	return t.change(ctx, func(list []entry) []entry {
		list = append(list, entry{r.Profile, r.Name, Stranger(r)})
		slices.SortFunc(list, func(a, b entry) int {
			return strings.Compare(a.Remote+"\x00"+a.URL+"\x00"+a.Profile, b.Remote+"\x00"+b.URL+"\x00"+b.Profile)
		})
		return slices.Compact(list)
	})
}

// Remove takes the trust in the server of r back, whichever profile it was for.
func (t Trust) Remove(ctx context.Context, r spec.Remote) error {
	return t.change(ctx, func(list []entry) []entry {
		return slices.DeleteFunc(list, func(e entry) bool { return e.Remote == r.Name && e.URL == Stranger(r) })
	})
}

// change writes what f makes of the list. The jobs of a CI machine may do so at once.
func (t Trust) change(ctx context.Context, f func([]entry) []entry) (err error) {
	dir, err := t.dir()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	lock, err := atomicfile.Acquire(ctx, filepath.Join(dir, trustFile+".lock"), atomicfile.Exclusive, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	path := filepath.Join(dir, trustFile)
	list, err := readTrusted(path)
	if err != nil {
		return err
	}
	b, err := canon.Marshal(trusted{trustSchema, f(append([]entry{}, list...))})
	if err != nil {
		return err
	}
	return atomicfile.Write(path, b, 0o600, "")
}

// readTrusted reads the list; no file is an empty one.
func readTrusted(path string) ([]entry, error) {
	b, err := atomicfile.Read(path, atomicfile.MaxNote)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if n := canon.Schema(b); n > trustSchema {
		return nil, diag.Newer("the list of trusted servers", n).At(path)
	}
	var got trusted
	if err := canon.Unmarshal(b, &got); err != nil {
		return nil, diag.New(diag.Integrity, "cannot read the list of trusted servers: %w", err).At(path).
			Hinted("delete the file, then run pipe remote trust NAME again")
	}
	return got.Endpoints, nil
}

// dir is where the list is. The hint is for those who have no such place.
func (t Trust) dir() (string, error) {
	dir, err := settings.Dir(t.Environ)
	if e := (*diag.Error)(nil); errors.As(err, &e) {
		return "", e.Hinted("export PIPE_TRUST_ENDPOINT=URL")
	}
	return dir, err
}

// refused stands for a remote that is not trusted. Nothing of it is opened: a verb that can do
// without the remote does, and every request is answered with the reason.
type refused struct {
	of  spec.Remote
	err error // why, if it is not for want of trust
}

// Unusable returns a store that answers every request with the reason why a remote could not be
// opened: only what needs the remote fails.
func Unusable(r spec.Remote, why error) store.Remote {
	return store.Marked(refused{r, why}, store.Past{})
}

var (
	_ store.Remote = refused{}
	_ store.Lister = refused{}
)

func (r refused) reason() error {
	if r.err != nil {
		return r.err
	}
	server := Stranger(r.of)
	return diag.New(diag.Policy, "remote %s: your credentials are not sent to %s, because only pipe.yaml names that server", r.of.Name, server).
		At(r.of.Place).Hinted("if you trust the server, run pipe remote trust %s; in CI, export PIPE_TRUST_ENDPOINT=%s", r.of.Name, server)
}

// Stat implements store.Store.
func (r refused) Stat(context.Context, object.Ref) (int64, error) { return 0, r.reason() }

// Open implements store.Store.
func (r refused) Open(context.Context, object.Ref) (io.ReadCloser, error) { return nil, r.reason() }

// Put implements store.Store.
func (r refused) Put(context.Context, object.Ref, store.Source) error { return r.reason() }

// Lookup implements store.Index.
func (r refused) Lookup(context.Context, object.RunID) ([]byte, error) { return nil, r.reason() }

// Record implements store.Index.
func (r refused) Record(context.Context, object.RunID, []byte) ([]byte, error) {
	return nil, r.reason()
}

// Load implements store.Cells.
func (r refused) Load(context.Context, string) ([]byte, string, error) { return nil, "", r.reason() }

// Look implements store.Cells.
func (r refused) Look(context.Context, string, string) (store.Cell, error) {
	return store.Cell{}, r.reason()
}

// Swap implements store.Cells.
func (r refused) Swap(context.Context, string, string, []byte) (string, error) {
	return "", r.reason()
}

// List implements store.Lister.
func (r refused) List(context.Context, func(store.Entry) error) error { return r.reason() }

// Runs implements store.Lister.
func (r refused) Runs(context.Context, func(object.RunID) error) error { return r.reason() }

// Names implements store.Lister.
func (r refused) Names(context.Context, string, func(string) error) error { return r.reason() }

// Probe implements store.Remote.
func (r refused) Probe(context.Context) error { return r.reason() }

// URL implements store.Remote.
func (r refused) URL() string { return r.of.URL }

// Close implements store.Remote.
func (r refused) Close() error { return nil }
