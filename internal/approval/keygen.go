package approval

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/process"
)

// Keygen runs ssh-keygen, and ssh-add to see which keys an agent has. Its zero value finds no
// program.
type Keygen struct {
	Env  []string // in the form of os.Environ
	Root string   // of the repository; no program in it is run
	Home string   // the user's, for ~/.ssh; may be empty
	// Git returns a setting of git, "" where there is none; nil: no setting at all.
	Git func(name string) string
	// In and Err are where ssh-keygen may ask for a passphrase; nil: it cannot ask.
	In, Err *os.File
}

// errRefused says that ssh-keygen ran and said no.
var errRefused = errors.New("refused")

// program finds a program of OpenSSH.
func (k *Keygen) program(name string) (string, error) {
	if p := process.Find(k.Env, name, k.Root); p != "" {
		return p, nil
	}
	return "", diag.New(diag.Failed, "%s is not on the PATH", name).
		Hinted("install OpenSSH: the package is openssh-client (Debian, Ubuntu), openssh-clients (Fedora, Amazon Linux) or openssh-keygen (Alpine)")
}

// run runs ssh-keygen and returns what it printed. When it said no, the error is errRefused
// and the second text says why.
func (k *Keygen) run(ctx context.Context, in io.Reader, args ...string) (out, why string, err error) {
	cmd, err := k.command(ctx, args...)
	if err != nil {
		return "", "", err
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, &stdout, &stderr
	err = outcome(ctx, cmd.Run(), stderr.String())
	return stdout.String(), stderr.String(), err
}

func (k *Keygen) command(ctx context.Context, args ...string) (*exec.Cmd, error) {
	bin, err := k.program("ssh-keygen")
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, bin, args...)
	cmd.Env = k.Env
	return cmd, nil
}

// outcome tells a no from a program that is too old, was killed or could not be started.
func outcome(ctx context.Context, err error, stderr string) error {
	exit := (*exec.ExitError)(nil)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case !errors.As(err, &exit) || !exit.Exited():
		return err
	case strings.Contains(stderr, "usage: ssh-keygen"): // it knows neither -Y nor, in 8.1, find-principals
		return diag.New(diag.Failed, "this ssh-keygen is too old for signatures").Hinted("install OpenSSH 8.2 or newer")
	}
	return errRefused
}

// bench is a directory where a guard's signers lie for ssh-keygen to read.
type bench struct {
	*Keygen
	dir   string
	guard *Guard
}

func (k *Keygen) bench(g *Guard) (*bench, error) {
	dir, err := os.MkdirTemp("", "pipe-approval-")
	if err != nil {
		return nil, err
	}
	b := &bench{k, dir, g}
	if err := b.put("signers", g.Approve.Signers); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *bench) close() { _ = os.RemoveAll(b.dir) }

func (b *bench) path(file string) string { return filepath.Join(b.dir, file) }

func (b *bench) put(file, text string) error {
	return os.WriteFile(b.path(file), []byte(text), 0o600)
}

const (
	armorBegin = "-----BEGIN SSH SIGNATURE-----\n"
	armorEnd   = "-----END SSH SIGNATURE-----\n"
	armorWidth = 70
)

// armor returns an armored signature in one form: that of ssh-keygen, with a newline at each
// end of line. Of two signatures ssh-keygen would read the first, and let people see both.
func armor(text string) (string, error) {
	text = strings.TrimSpace(strings.ReplaceAll(text, "\r", "")) + "\n"
	body, begins := strings.CutPrefix(text, armorBegin)
	body, ends := strings.CutSuffix(body, armorEnd)
	raw, err := base64.StdEncoding.DecodeString(body) // which passes over newlines
	if !begins || !ends || err != nil || !bytes.HasPrefix(raw, []byte("SSHSIG")) {
		return "", errors.New("it does not begin or end as one, or is damaged")
	}
	var b strings.Builder
	b.WriteString(armorBegin)
	for s := base64.StdEncoding.EncodeToString(raw); s != ""; {
		n := min(armorWidth, len(s))
		b.WriteString(s[:n] + "\n")
		s = s[n:]
	}
	return b.String() + armorEnd, nil
}
