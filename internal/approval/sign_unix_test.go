//go:build !windows

package approval_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/pipe-build/pipe/internal/approval"
	"github.com/pipe-build/pipe/internal/diag"
)

// TestAPassphraseIsAskedForOnTheTerminal runs itself on a terminal of its own: ssh-keygen asks on
// the controlling one, which a developer has and CI has not.
func TestAPassphraseIsAskedForOnTheTerminal(t *testing.T) {
	d := newDesk(t)
	file := os.Getenv("PIPE_TEST_LOCKED")
	if file != "" {
		d.dir = filepath.Dir(file)
		d.k.In, d.k.Err = os.Stdin, os.Stderr
		d.k.Env = append(d.k.Env, "DISPLAY=:99", "SSH_ASKPASS=/nowhere") // a window would be the second choice
	} else {
		file = filepath.Join(d.dir, "locked")
		d.ssh("", "-q", "-t", "ed25519", "-N", "open sesame", "-f", file)
	}
	q := d.question(d.guard(1, false, d.line("locked@acme.io", "locked")), "dave@acme.io")
	v, _, err := d.k.Sign(t.Context(), q, approval.Ballot{Verdict: approval.Approve, At: time.Unix(1, 0), Key: file})
	if d.k.In != nil {
		fmt.Printf("child: %v, %+v", err, v)
		return
	}
	if !diag.Is(err, diag.Failed) || !strings.Contains(err.Error(), "passphrase") || !strings.Contains(diag.All(err)[0].Hint, "ssh-add "+file) {
		t.Error(err)
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestAPassphraseIsAskedForOnTheTerminal$")
	child.Env = append(d.k.Env, "PIPE_TEST_LOCKED="+file)
	terminal, err := pty.Start(child)
	d.must(err)
	defer terminal.Close() //nolint:errcheck // it was read to its end
	said := readTo(t, terminal, ": ")
	if !strings.Contains(said, "Enter passphrase") {
		t.Fatal(said)
	}
	_, err = terminal.WriteString("open sesame\n")
	d.must(err)
	if said := readTo(t, terminal, "}"); !strings.Contains(said, "child: <nil>") || !strings.Contains(said, "Principal:locked@acme.io") {
		t.Error(said)
	}
	if err := child.Wait(); err != nil {
		t.Error(err)
	}
}

// readTo reads up to the end of a text.
func readTo(tb testing.TB, r io.Reader, end string) string {
	tb.Helper()
	var said []byte
	for b := make([]byte, 1); !strings.HasSuffix(string(said), end); said = append(said, b[0]) {
		if _, err := r.Read(b); err != nil {
			tb.Fatalf("%v after %q", err, said)
		}
	}
	return string(said)
}

func TestAnAgentSignsWithAListedKey(t *testing.T) {
	d := newDesk(t)
	q := d.question(d.team(1, false), "dave@acme.io")
	dir, err := os.MkdirTemp("", "a") // a socket's path is short
	d.must(err)
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary directory
	agent := exec.CommandContext(t.Context(), "ssh-agent", "-D", "-a", filepath.Join(dir, "s"))
	out, err := agent.StdoutPipe()
	d.must(err)
	d.must(agent.Start())
	defer func() { _ = agent.Process.Kill(); _ = agent.Wait() }()
	readTo(t, out, "\n") // now it listens
	d.k.Env = append(d.k.Env, "SSH_AUTH_SOCK="+filepath.Join(dir, "s"))
	if _, err := d.found(q); !diag.Is(err, diag.Policy) {
		t.Errorf("of an agent without keys: %v", err)
	}
	for _, who := range []string{"mallory", "bob"} {
		add := exec.CommandContext(t.Context(), "ssh-add", "-q", d.key(who))
		add.Env = d.k.Env
		if out, err := add.CombinedOutput(); err != nil {
			t.Fatal(err, string(out))
		}
	}
	bob := d.pub("bob")
	d.must(os.Remove(d.key("bob")))
	d.who(q, "bob@acme.io")
	d.k.Git = func(name string) string {
		return map[string]string{"gpg.format": "ssh", "user.signingkey": "key::" + bob}[name]
	}
	d.who(q, "bob@acme.io")
	v, _, err := d.k.Sign(t.Context(), q, approval.Ballot{Verdict: approval.Approve, At: time.Unix(1, 0), Key: filepath.Join(d.dir, "bob.pub")})
	if err != nil || v.Principal != "bob@acme.io" {
		t.Error(v, err)
	}
}

// fake puts a program in place of ssh-keygen.
func (d *desk) fake(script string) {
	d.Helper()
	dir := d.TempDir()
	d.must(os.WriteFile(filepath.Join(dir, "ssh-keygen"), []byte("#!/bin/sh\n"+script), 0o777))
	d.k.Env = append(d.k.Env, "PATH="+dir+":"+os.Getenv("PATH"))
}

func TestAnOldSSHKeygenIsNamed(t *testing.T) {
	d := newDesk(t)
	q := d.question(d.team(1, false), "dave@acme.io")
	d.sign(&q, approval.Approve, "bob")
	for _, says := range []string{"unknown option -- Y", `Unsupported operation for -Y: "find-principals"`} {
		d.fake("echo '" + says + "' >&2; echo 'usage: ssh-keygen [-q]' >&2; exit 1")
		if _, err := d.k.Check(t.Context(), q); err == nil || !strings.Contains(err.Error(), "too old") || !strings.Contains(diag.All(err)[0].Hint, "8.2") {
			t.Error(err)
		}
	}
}

// Neither a program that was killed nor a cancelled run has said no: the vote may be a rejection.
func TestNoAnswerIsAnError(t *testing.T) {
	d := newDesk(t)
	q := d.question(d.team(1, false), "dave@acme.io")
	d.sign(&q, approval.Reject, "bob")
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	cancel(why)
	if r, err := d.k.Check(ctx, q); !errors.Is(err, why) {
		t.Error(r, err)
	}
	d.fake("kill -KILL $$")
	if r, err := d.k.Check(t.Context(), q); err == nil {
		t.Error(r)
	}
}
