package approval_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/approval"
	"github.com/pipe-build/pipe/internal/diag"
)

// found signs without naming a key.
func (d *desk) found(q approval.Question) (*approval.Vote, error) {
	v, _, err := d.k.Sign(d.Context(), q, approval.Ballot{Verdict: approval.Approve, At: time.Unix(1, 0)})
	return v, err
}

// who checks that the found key is a person's.
func (d *desk) who(q approval.Question, want string) {
	d.Helper()
	v, err := d.found(q)
	if err != nil || v.Principal != want {
		d.Errorf("%v, %+v; want %s", err, v, want)
	}
}

// home puts a person's key where ssh finds it.
func (d *desk) putHome(who, name string) {
	d.Helper()
	for _, end := range []string{"", ".pub"} {
		b, err := os.ReadFile(d.key(who) + end)
		d.must(err)
		d.must(os.WriteFile(filepath.Join(d.home, ".ssh", name+end), b, 0o600))
	}
}

func TestTheKeyIsTheOneThatIsListed(t *testing.T) {
	d := newDesk(t)
	q := d.question(d.team(1, false), "dave@acme.io")
	if _, err := d.found(q); !diag.Is(err, diag.Policy) || !strings.Contains(diag.All(err)[0].Hint, "--key") {
		t.Error(err)
	}
	d.putHome("mallory", "id_ed25519") // the first that ssh would take
	d.putHome("carol", "id_rsa")
	d.who(q, "carol@acme.io")
	t.Chdir(d.home) // without a home, .ssh of a repository is none
	d.k.Home = ""
	if _, err := d.found(q); !diag.Is(err, diag.Policy) {
		t.Error(err)
	}
	d.k.Home = d.home

	git := map[string]string{"user.signingkey": d.key("bob")}
	d.k.Git = func(name string) string { return git[name] }
	d.who(q, "carol@acme.io") // gpg.format is not ssh
	git["gpg.format"] = "ssh"
	d.who(q, "bob@acme.io")
	git["user.signingkey"] = d.key("bob") + ".pub"
	d.who(q, "bob@acme.io")
	d.putHome("alice", "work")
	git["user.signingkey"] = "~/.ssh/work"
	d.who(q, "alice@acme.io")
	for _, other := range []string{d.key("mallory"), "key::" + d.pub("mallory"), "", "/nowhere", "ssh-ed25519", "key::"} {
		git["user.signingkey"] = other
		d.who(q, "carol@acme.io")
	}
	t.Chdir(d.dir)
	d.key("ssh-work")
	git["user.signingkey"] = "ssh-work" // a file
	d.who(d.question(d.guard(1, false, d.line("work@acme.io", "ssh-work"), d.line("carol@acme.io", "carol")), "dave@acme.io"), "work@acme.io")
	v, _, err := d.k.Sign(t.Context(), q, approval.Ballot{Verdict: approval.Approve, At: time.Unix(1, 0), Key: d.key("alice")})
	if err != nil || v.Principal != "alice@acme.io" {
		t.Error(v, err)
	}
}

func TestAVoteThatWouldNotCountIsNotMade(t *testing.T) {
	d := newDesk(t)
	q := d.question(d.team(1, false), "dave@acme.io")
	for key, kind := range map[string]diag.Kind{
		d.key("mallory"): diag.Policy, filepath.Join(d.dir, "nowhere"): diag.NotFound, d.dir: diag.Failed, d.key("bob") + ".pub": 255,
	} {
		_, _, err := d.k.Sign(t.Context(), q, approval.Ballot{Verdict: approval.Approve, At: time.Unix(1, 0), Key: key})
		if kind == 255 && err != nil || kind != 255 && (!diag.Is(err, kind) || diag.All(err)[0].Hint == "") {
			t.Errorf("%s: %v", key, err)
		}
	}
	said, err := os.Create(filepath.Join(d.dir, "said"))
	d.must(err)
	defer said.Close() //nolint:errcheck // it is read by its name
	d.k.Err = said
	if _, _, err := d.k.Sign(t.Context(), q, approval.Ballot{Verdict: approval.Approve, At: time.Unix(1, 0), Key: d.dir}); !diag.Is(err, diag.Failed) {
		t.Error(err)
	}
	if b, err := os.ReadFile(said.Name()); err != nil || len(b) == 0 {
		t.Errorf("%v: ssh-keygen's own words do not reach the terminal", err)
	}
	git := d.question(d.guard(1, false, d.line(`bob@acme.io namespaces="git"`, "bob")+d.line("alice@acme.io", "alice")), "dave@acme.io")
	_, _, err = d.k.Sign(t.Context(), git, approval.Ballot{Verdict: approval.Approve, At: time.Unix(1, 0), Key: d.key("bob")})
	if !diag.Is(err, diag.Policy) || !strings.Contains(err.Error(), "excludes it") {
		t.Error(err)
	}
}

// The authority's own key certifies people; it is nobody's.
func TestTheKeyOfAnAuthorityIsNotFound(t *testing.T) {
	d := newDesk(t)
	d.putHome("ca", "id_ed25519")
	if _, err := d.found(d.question(d.guard(1, false, d.line("*@acme.io cert-authority", "ca")), "dave@acme.io")); err == nil || !strings.Contains(err.Error(), "none of your ssh keys") {
		t.Error(err)
	}
}

func TestACertificateSignsByItsFile(t *testing.T) {
	d := newDesk(t)
	d.ssh("", "-q", "-s", d.key("ca"), "-I", "id", "-n", "bob@acme.io", d.key("bob")+".pub")
	q := d.question(d.guard(1, false, d.line("*@acme.io cert-authority", "ca")), "dave@acme.io")
	v, _, err := d.k.Sign(t.Context(), q, approval.Ballot{Verdict: approval.Approve, At: time.Unix(1, 0), Key: d.key("bob") + "-cert.pub"})
	if err != nil || v.Principal != "bob@acme.io" {
		t.Fatal(v, err)
	}
	d.k.Git = func(name string) string {
		return map[string]string{"gpg.format": "ssh", "user.signingkey": d.key("bob") + "-cert.pub"}[name]
	}
	d.who(q, "bob@acme.io")
}

func TestVotesOfDifferentSignersNeverLieAtOnePlace(t *testing.T) {
	d := newDesk(t)
	q := d.question(d.team(1, false), "dave@acme.io")
	seen := map[string]bool{}
	for _, who := range []string{"alice", "bob", "carol"} {
		d.sign(&q, approval.Approve, who)
		d.sign(&q, approval.Reject, who)
	}
	for _, b := range q.Votes {
		v, err := approval.ParseVote(b)
		d.must(err)
		v.Principal = "../../state\n"
		if n := v.Name(); len(n) != 64 || strings.Trim(n, "0123456789abcdef") != "" || seen[n] {
			t.Errorf("%q", n)
		} else {
			seen[n] = true
		}
	}
}

func TestNoSSHKeygenSaysWhatToInstall(t *testing.T) {
	d := newDesk(t)
	q := d.question(d.team(1, false), "dave@acme.io")
	d.sign(&q, approval.Approve, "bob")
	for what, k := range map[string]*approval.Keygen{
		"none": {}, "empty": {Env: []string{"PATH="}},
		"in the repository": {Env: d.k.Env, Root: filepath.VolumeName(d.dir) + string(filepath.Separator)},
	} {
		if _, err := k.Check(t.Context(), q); err == nil || !strings.Contains(err.Error(), "ssh-keygen is not on the PATH") || !strings.Contains(diag.All(err)[0].Hint, "openssh-client") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
