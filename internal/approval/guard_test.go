package approval_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/approval"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/spec"
)

func TestTheGuardIsWhatTheFileMeans(t *testing.T) {
	d := newDesk(t)
	a, b := d.line("alice@acme.io", "alice"), d.line(`"bob smith@acme.io" namespaces="pipe-*"`, "bob")
	want, err := d.guard(1, true, a, b).Digest()
	d.must(err)
	for what, lines := range map[string]string{
		"other order": b + a, "twice": a + b + a, "comments": "# us\n\n" + a + "  # more\n\t\n" + b,
		"CRLF": strings.ReplaceAll(a+b, "\n", "\r\n"), "no newline at the end": strings.TrimSpace(a + b),
		"white space": "\t " + strings.ReplaceAll(a, " ", " \t ") + b, "byte order mark": "\ufeff" + a + b,
		"comments of keys": strings.ReplaceAll(a, "\n", " alice's laptop\n") + b,
	} {
		g := d.guard(1, true, lines)
		if got, err := g.Digest(); err != nil || got != want {
			t.Errorf("%s: another guard, %v: %q", what, err, g.Approve.Signers)
		}
		q := d.question(g, "dave@acme.io")
		d.forge(&q, approval.Approve, "bob", "pipe-approval", string(q.Request))
		d.says(q, "approved by bob smith@acme.io", true)
	}
	for what, g := range map[string]*approval.Guard{
		"count": d.guard(2, true, a, b), "not_self": d.guard(1, false, a, b), "a signer less": d.guard(1, true, a),
		"another key": d.guard(1, true, d.line("alice@acme.io", "mallory"), b), "an option less": d.guard(1, true, a, d.line(`"bob smith@acme.io"`, "bob")),
		"none": {Schema: 1}, "ci": {Schema: 1, CI: true},
	} {
		if got, err := g.Digest(); err != nil || got == want {
			t.Errorf("%s: the same guard, %v", what, err)
		}
	}
}

func TestFromIsASet(t *testing.T) {
	g, err := approval.NewGuard([]string{"test", "staging", "test"}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := g.Encode()
	if want := `{"from":["staging","test"],"schema":1}` + "\n"; err != nil || string(b) != want {
		t.Errorf("%s, %v", b, err)
	}
	ci, err := approval.NewGuard(nil, &spec.Approve{CI: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := ci.Encode(); err != nil || string(b) != `{"ci":true,"schema":1}`+"\n" {
		t.Errorf("%s, %v", b, err)
	}
}

// The votes under the old guard are counted by its bytes, when the files are others.
func TestAGuardGoesThroughItsBytes(t *testing.T) {
	d := newDesk(t)
	g := d.team(2, true)
	b, err := g.Encode()
	d.must(err)
	again, err := approval.ParseGuard(b)
	d.must(err)
	if c, err := again.Encode(); err != nil || !bytes.Equal(b, c) {
		t.Errorf("%s, %v", c, err)
	}
	q := d.question(d.guard(1, false, d.line("mallory@evil.io", "mallory")), "dave@acme.io")
	q.Guard = again
	d.forge(&q, approval.Approve, "mallory", "pipe-approval", string(q.Request))
	d.problem(d.says(q, "0 of 2 approvals; missing: 2 of alice@acme.io, bob@acme.io, carol@acme.io", false), "not listed")

	for _, bad := range []string{
		"", strings.Replace(string(b), `"count":2`, `"count":0`, 1), strings.Replace(string(b), `{"approve"`, `{"approve":{},"approve"`, 1),
		strings.Replace(string(b), `\n`, `\n# us\n`, 1), strings.Replace(string(b), "alice", "zoe", 1), strings.Replace(string(b), "ssh-ed25519 ", "ssh-ed25519  ", 1),
		strings.Replace(string(b), `},"schema"`, `},"ci":true,"schema"`, 1), strings.Replace(string(b), `},"schema"`, `},"from":["b","a"],"schema"`, 1),
		strings.Replace(string(b), `},"schema"`, `},"from":["a","a"],"schema"`, 1), strings.Replace(string(b), `},"schema"`, `},"from":["../a"],"schema"`, 1),
	} {
		if bad == string(b) {
			t.Fatal("nothing was damaged")
		}
		if _, err := approval.ParseGuard([]byte(bad)); !diag.Is(err, diag.Integrity) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if _, err := approval.ParseGuard([]byte(`{"schema":2}`)); !diag.Is(err, diag.Policy) {
		t.Error(err)
	}
}

func TestFaultsOfASignersFileAreNamedTogether(t *testing.T) {
	d := newDesk(t)
	k := d.pub("alice")
	d.ssh("", "-q", "-s", d.key("ca"), "-I", "id", "-n", "x", d.key("alice")+".pub")
	cert, err := os.ReadFile(d.key("alice") + "-cert.pub")
	d.must(err)
	bad := []string{
		"alice@acme.io", "alice@acme.io ssh-ed25519", "alice@acme.io ssh-ed25519 AAAA", "alice@acme.io ssh-rsa " + strings.Fields(k)[1],
		"alice@acme.io ssh-ed25519 AAAAC3NzaC1lZDI1NTE5", "alice@acme.io ssh-ed25519 " + strings.Fields(k)[1][:30] + "!", "alice@acme.io ssh-dss AAAAB3NzaC1kc3M", k,
		",alice@acme.io " + k, "!alice@acme.io " + k, `"alice ` + k, `al"ice" ` + k, `"" ` + k,
		"alice@acme.io no-touch " + k, "alice@acme.io namespaces=git " + k, `alice@acme.io namespaces="git ` + k, `alice@acme.io namespaces="" ` + k,
		"alice@acme.io cert-authority, " + k, "alice@acme.io cert-authority,cert-authority " + k, `alice@acme.io valid-before="tomorrow" ` + k,
		"alice@acme.io " + string(bytes.TrimSpace(cert)), "alice\x00 " + k, "alice\xff " + k, "alice\x1b[2J " + k,
	}
	good := "bob@acme.io " + k
	_, err = approval.NewGuard(nil, &spec.Approve{Signers: "ops/.approvers", Count: 1}, []byte("# us\n"+strings.Join(bad, "\n")+"\n"+good))
	all := diag.All(err)
	if len(all) != len(bad) {
		t.Errorf("%d faults in %d lines:\n%v", len(all), len(bad), err)
	}
	for i, e := range all {
		if !diag.Is(e, diag.Usage) || e.Hint == "" || !strings.HasPrefix(e.Place, "ops/.approvers:") {
			t.Errorf("%+v", all[i])
		}
	}
	if !strings.Contains(err.Error(), "this is a certificate") || !strings.Contains(err.Error(), "the name is missing") {
		t.Error(err)
	}
	if all[0].Place != "ops/.approvers:2" || all[len(all)-1].Place != "ops/.approvers:25" {
		t.Error(err)
	}
}

func TestACountThatCannotBeReachedIsAFault(t *testing.T) {
	d := newDesk(t)
	make := func(count int, lines ...string) error {
		_, err := approval.NewGuard(nil, &spec.Approve{Signers: ".approvers", Count: count}, []byte(strings.Join(lines, "")))
		return err
	}
	bob, bob2, alice := d.line("bob@acme.io", "bob"), d.line("bob@acme.io", "bob2"), d.line("alice@acme.io", "alice")
	for _, err := range []error{
		make(1), make(1, "# nobody\n"), make(2, bob), make(2, bob, bob2), make(2, bob, d.line(`alice@acme.io namespaces="git"`, "alice")), make(1, bob, strings.Repeat("#", 3<<20)),
	} {
		if !diag.Is(err, diag.Usage) || diag.All(err)[0].Place != ".approvers" {
			t.Error(err)
		}
	}
	for _, err := range []error{make(2, bob, bob2, alice), make(9, d.line("*@acme.io cert-authority", "ca"))} {
		if err != nil {
			t.Error(err)
		}
	}
	if err := make(0, bob); err == nil {
		t.Error("no approvals of somebody")
	}
}

// FuzzSignersFile: what is taken has one normal form, which is taken again as it is.
func FuzzSignersFile(f *testing.F) {
	key := " ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILE3+ba3J5UEdWRdyzodLRzmIKn+BH9ZzKvgh/80Afn+"
	for _, s := range []string{
		"a@b" + key, "# x\r\n\ta,!b*" + key + " x", `"a b" cert-authority,namespaces="x y"` + key, `a"b` + key, `a valid-after="20200101Z"` + key + "\n" + key,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		g, err := approval.NewGuard(nil, &spec.Approve{Count: 1}, file)
		if err != nil {
			return
		}
		again, err := approval.NewGuard(nil, &spec.Approve{Count: 1}, []byte(g.Approve.Signers))
		if err != nil || again.Approve.Signers != g.Approve.Signers {
			t.Fatalf("%q: %v, %q", file, err, g.Approve.Signers)
		}
		b, err := g.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := approval.ParseGuard(b); err != nil {
			t.Fatal(err)
		}
	})
}
