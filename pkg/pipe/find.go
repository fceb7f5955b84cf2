package pipe

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/dvc"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/transfer"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// FindOptions say what Find does with what it finds.
type FindOptions struct {
	Output  string // write the bytes to this file (or a directory's tree to this directory)
	Offline bool   // ask nobody but this machine: not the remote, nor what a partial clone was cloned from
	// Local gets what this machine knows, if it knows anything, before the remote is asked: that
	// may take long, or fail. What it gets is not changed later; nil: nobody wants it.
	Local func(Found)
}

// Found is what is known of a hash.
type Found struct {
	Query      string     `json:"query"`                        // as the user wrote it
	Artifacts  []Artifact `json:"artifacts"`                    // newest first
	Incomplete bool       `json:"incomplete_history,omitempty"` // a part of git's history is not here
	Offline    bool       `json:"offline,omitempty"`            // nobody but this machine was asked
	Unasked    []Unasked  `json:"could_not_ask,omitempty"`      // who did not answer, and may know more
	Wrote      string     `json:"wrote,omitempty"`              // the file or directory that the bytes were written to
}

// Unasked is who could not be asked, and why.
type Unasked struct {
	Where string `json:"where"`          // the remote's URL, the name of git's remote, or .pipe/env
	Why   string `json:"why"`            // the cause
	Hint  string `json:"hint,omitempty"` // what may help

	kind diag.Kind
}

// Artifact is one place where the hash stands.
type Artifact struct {
	What   string        `json:"what"`             // out, inside, dep, key, or object: bytes that no lock names; dvc-out, dvc-inside, dvc-dep
	Hash   digest.Digest `json:"hash,omitzero"`    // of the bytes, or of the tree; missing where only DVC's name is known
	MD5    string        `json:"md5,omitempty"`    // DVC's name of it
	File   string        `json:"file,omitempty"`   // of DVC's, that has the name
	Dir    bool          `json:"dir,omitempty"`    // a directory, by its tree
	Stage  string        `json:"stage,omitempty"`  // that made it or read it
	Path   string        `json:"path,omitempty"`   // where it was
	Size   int64         `json:"size"`             // bytes
	Key    string        `json:"key,omitempty"`    // of the stage
	Now    bool          `json:"now"`              // the workspace's lock, or file of DVC's, names it
	First  *Commit       `json:"first,omitempty"`  // the first commit whose lock names it
	Last   *Commit       `json:"last,omitempty"`   // the last one
	Refs   []string      `json:"refs,omitempty"`   // branches and tags that have such a commit
	Live   []Live        `json:"live,omitempty"`   // where it is live
	Cache  *bool         `json:"cache,omitempty"`  // its bytes are in the cache; nil: not asked, as beyond the first 20
	Remote *bool         `json:"remote,omitempty"` // nil: not asked, or no remote

	ref  object.Ref
	in   digest.Digest // the tree that holds it, when it lies inside one
	sum  dvc.Sum       // of MD5
	from store.Remote  // that has the bytes; nil: none was asked, or none has
	exec bool
}

// Commit is a commit whose lock names an artifact.
type Commit struct {
	Hash    string    `json:"hash"`    // in hexadecimal digits
	When    time.Time `json:"when"`    // the committer's time
	Author  string    `json:"author"`  // name
	Subject string    `json:"subject"` // first line of the message
}

// Live is an environment where an artifact is live, was, or was to become it.
type Live struct {
	Env     string    `json:"env"`               // the environment
	Stage   string    `json:"stage"`             // the deploy stage
	Status  string    `json:"status"`            // ok, failed, deploying, unknown
	At      time.Time `json:"at,omitzero"`       // since when; missing where it was live
	Commit  string    `json:"commit,omitempty"`  // HEAD's hash of that deployment
	Was     bool      `json:"was,omitempty"`     // it was live, and is not part of what is live now
	Gone    uint64    `json:"gone,omitempty"`    // the deployment since which no release has the stage
	Release string    `json:"release,omitempty"` // the newest verified one that had it
}

// minPrefix is the shortest prefix that is looked for: shorter ones hit everything. Four
// digits tell 65,536 objects apart.
const minPrefix = 4

// Find tells of a hash, or the beginning of one, or of a file's: which artifact of which stage
// it is, which commits name it, where it is live and where its bytes are. What this machine
// knows comes first: locks with the trees in the cache, then the cache's other objects. If that
// is nothing, the remote is asked for more trees, then for objects that no lock names. Who does
// not answer is named in the answer. Nothing found is an error: of kind not-found, or
// of the kind of what kept somebody from answering who may know it.
func (p *Project) Find(ctx context.Context, query string, opt FindOptions) (*Found, error) {
	prefix, err := p.prefix(ctx, query)
	if err != nil {
		return nil, err
	}
	lock, err := p.lock()
	if err != nil {
		return nil, err
	}
	c, err := p.carry(ctx)
	if err != nil {
		return nil, err
	}
	if opt.Offline {
		c.Remote = nil
	}
	s := &search{p: p, c: c, prefix: prefix, lock: lock, offline: opt.Offline, found: &Found{Query: query, Artifacts: []Artifact{}, Offline: opt.Offline}}
	if err := s.here(ctx); err != nil {
		return nil, err
	}
	if err := s.byDVC(ctx, query); err != nil {
		return nil, err
	}
	f := s.found
	if len(f.Artifacts) > 0 && opt.Local != nil {
		said := *f
		said.Artifacts = slices.Clone(f.Artifacts)
		opt.Local(said)
	}
	if err := s.there(ctx); err != nil {
		return nil, err
	}
	if len(f.Artifacts) == 0 {
		return nil, s.notFound()
	}
	if opt.Output != "" {
		if err = s.write(ctx, p.here(opt.Output)); err == nil {
			f.Wrote = opt.Output
		}
	}
	return f, err
}

// prefix reads what is to be found: hexadecimal digits, with or without "blake3:", or a path
// whose hash is meant. What can be a hash is taken for one; write ./NAME for a file whose name
// consists of such digits.
func (p *Project) prefix(ctx context.Context, query string) (string, error) {
	if m := dvcQuery.FindStringSubmatch(strings.ToLower(query)); m != nil {
		return m[2], nil
	}
	q := hashOf(query)
	// The key of a rebuild has a dot, as pipe log prints it; without k1: that is rather a file's.
	if q.generation >= 0 && !strings.HasPrefix(strings.ToLower(query), digest.KeyPrefix) {
		q = hashQuery{}
	}
	if len(q.prefix) >= minPrefix {
		return q.prefix, nil
	}
	if _, err := os.Lstat(p.here(query)); query != "" && err == nil {
		outs, err := p.recorded()
		if err != nil {
			return "", err
		}
		hashed, err := p.hash(ctx, query, outs)
		return hashed.Hash.Hex(), err
	}
	if q.prefix != "" {
		return "", q.check("pipe find HASH")
	}
	return "", diag.New(diag.Usage, "%q is neither a hash nor a file", query).Hinted("run pipe find HASH or pipe find FILE")
}

// writeFound writes the bytes of the one artifact to a new file or directory. It refuses a
// target that exists, unless it is that artifact.
func (s *search) write(ctx context.Context, to string) (err error) {
	p, c, f := s.p, s.c, s.found
	a, err := f.only()
	if err != nil {
		return err
	}
	unlock, err := p.useCache(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if err := s.fetchDVC(ctx, a); err != nil {
		return err
	}
	if done, err := p.placed(ctx, to, a.Hash); done || err != nil {
		return err
	}
	if a.from != nil {
		c = c.With(func(repopath.Path) store.Remote { return a.from })
	}
	o := artifact.Output{Path: repopath.Path(a.Path), Dir: a.Dir, Exec: a.exec, Digest: a.Hash, Size: a.Size}
	if o.Path == "" {
		o.Path = "object"
	}
	var t *object.Tree
	if o.Dir { // the size of a hit may be that of its manifest
		if t, err = c.Tree(ctx, o.Path, o.Digest); err != nil {
			return a.explained(err, f.Offline)
		}
		o = t.Output(o.Path)
	}
	if err = c.Fetch(ctx, []artifact.Output{o}); err == nil {
		err = p.files(c).Export(ctx, o, t, to)
	}
	return a.explained(err, f.Offline)
}

// explained gives bytes that are nowhere their next step: push and repro look at the lock of
// the commit that is checked out.
func (a *Artifact) explained(err error, offline bool) error {
	if !errors.As(err, new(*transfer.Missing)) {
		return err
	}
	if offline {
		return diag.New(diag.NotFound, "%w", err).Hinted("run pipe find without --offline, which asks the remote, too")
	}
	if a.Now || a.Last == nil {
		return transfer.Explained(err)
	}
	return diag.New(diag.NotFound, "%w", err).
		Hinted("run git checkout %.12s, then pipe push --repair on a machine that has it, or pipe repro --rebuild-missing to rebuild it", a.Last.Hash)
}

// name is what to call it by.
func (a *Artifact) name() string {
	if a.MD5 != "" {
		return a.MD5
	}
	return a.Hash.String()
}

// only returns the artifact when all hits have the same bytes.
func (f *Found) only() (*Artifact, error) {
	for i := range f.Artifacts {
		if f.Artifacts[i].ref != f.Artifacts[0].ref || f.Artifacts[i].MD5 != f.Artifacts[0].MD5 {
			return nil, diag.New(diag.Usage, "%s is the prefix of several hashes", f.Query).
				Hinted("give more digits: %s or %s", f.Artifacts[0].name(), f.Artifacts[i].name())
		}
	}
	return &f.Artifacts[0], nil
}
