package approval_test

import (
	"os"
	"path/filepath"
	"slices"
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

// Who has the guard knows all places to look at, so that nobody needs the right to list.
func TestEachSignersVotesLieInABoxThatTheGuardNames(t *testing.T) {
	d := newDesk(t)
	d.ssh("", "-q", "-s", d.key("ca"), "-I", "id", "-n", "erin@acme.io", d.key("erin")+".pub")
	g := d.guard(1, false, d.line("alice@acme.io,alice", "alice"), d.line("bob@acme.io", "bob"), d.line("b.obson@acme.io", "bob"), d.line("*@acme.io cert-authority", "ca"))
	boxes := g.Boxes()
	if len(boxes) != 3 || d.guard(1, false, d.line("bob@acme.io", "bob")).Boxes()[0] != boxes[slices.Index(boxes, box(d, g, "bob"))] {
		t.Fatal(boxes) // a key's box is the same under each guard
	}
	seen := map[string]bool{}
	for _, who := range []string{"alice", "bob", "erin-cert.pub"} {
		b := box(d, g, who)
		if !slices.Contains(boxes, b) || seen[b] || strings.Trim(b, "abcdefghijklmnopqrstuvwxyz0123456789") != "" || len(b) > 64 {
			t.Errorf("%s: %q", who, b)
		}
		seen[b] = true
	}
	if none := (&approval.Guard{Schema: 1, CI: true}).Boxes(); none != nil {
		t.Error(none)
	}
}

// box returns where the vote of a key lies.
func box(d *desk, g *approval.Guard, key string) string {
	d.Helper()
	v, _, err := d.k.Sign(d.Context(), d.question(g, "dave@acme.io"), approval.Ballot{Verdict: approval.Approve, At: time.Unix(1, 0), Key: filepath.Join(d.dir, key)})
	d.must(err)
	return v.Box()
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
