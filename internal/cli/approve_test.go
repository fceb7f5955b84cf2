package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// On a terminal nothing is signed before somebody has seen the plan and said yes.
func TestApproveAsksOnATerminal(t *testing.T) {
	p := newPlace(t, `project: shop
stages: {api: {deploy: true, cmd: 'true', deps: [src]}}
environments: {production: {approve: {signers: .approvers}}}
`)
	key := filepath.Join(t.TempDir(), "bob")
	if out, err := exec.CommandContext(t.Context(), "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	pub, err := os.ReadFile(key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	p.write(".approvers", "bob@acme.io "+string(pub))
	if code := p.try("deploy", "production", "--reason", "\x1b[2J"); code != 9 {
		t.Fatal(code, p.err)
	}
	for _, c := range []struct {
		in, verb, ask string
		code          int
	}{
		{"n\n", "approve", "Approve this? [y/N] ", 9},
		{"\n", "reject", "Reject this? [y/N] ", 9},
		{"yes\n", "reject", "Reject this? [y/N] ", 0},
		{"y\n", "approve", "Approve this? [y/N] ", 0},
	} {
		p.in = c.in
		if code := p.try(c.verb, "production", "--key", key); code != c.code || !strings.Contains(p.err, c.ask) || !strings.Contains(p.err, "api ") {
			t.Errorf("%+v: exit code %d: %s", c, code, p.err)
		}
		if strings.Contains(p.err+p.out, "\x1b") {
			t.Errorf("%q", p.err) // what others wrote is no command to a terminal
		}
	}
	if !strings.HasPrefix(p.out, "production: approved by bob@acme.io\nRun the command that requested it again, or: pipe deploy production --release r-") {
		t.Errorf("%q", p.out)
	}
	p.in = ""
	if code := p.try("approve", "production", "--env", "production"); code != 2 {
		t.Error(code)
	}
}
