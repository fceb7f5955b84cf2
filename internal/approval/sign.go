package approval

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/diag"
)

// Ballot is what somebody says about a plan.
type Ballot struct {
	Verdict Verdict
	Reason  string
	At      time.Time
	Key     string // file of the private key, or of a public key or certificate whose private one an agent has; empty: found
}

// Sign makes a vote, and returns it with what Check says when it is there. A vote that would
// not count is an error, with diag.Policy.
//
// Without Ballot.Key the key is the first one that the guard's signers list, of: git's
// user.signingkey when gpg.format is ssh, the agent's keys, and those of ~/.ssh. Certificates
// are found only by Ballot.Key and user.signingkey.
func (k *Keygen) Sign(ctx context.Context, q Question, say Ballot) (*Vote, *Result, error) {
	if q.Guard.Approve == nil {
		return nil, nil, diag.New(diag.Policy, "environment %s needs no signed approval", q.Plan.Env).
			Hinted("run pipe deploy %s", q.Plan.Env)
	}
	req, plan, err := q.request()
	if err != nil {
		return nil, nil, err
	}
	b, err := k.bench(q.Guard)
	if err != nil {
		return nil, nil, err
	}
	defer b.close()
	all, problems, err := b.verify(ctx, q, plan)
	if err != nil {
		return nil, nil, err
	}
	before := Result{all: all}
	v := &Vote{Schema: Schema, Plan: plan, Verdict: say.Verdict, Turn: before.turn(say.Verdict), At: whole(say.At), Reason: say.Reason}
	if v.Signature, err = b.sign(ctx, say.Key, message(q.Request, v.Turn), v.Verdict.namespace()); err != nil {
		return nil, nil, err
	}
	s, why, err := b.verifyVote(ctx, v, plan, q.Request)
	if err != nil {
		return nil, nil, err
	}
	if why != "" {
		return nil, nil, diag.New(diag.Policy, "your %s would not count: %s", v.Verdict.noun(), why).
			Hinted("choose another key with --key FILE")
	}
	v.Principal, v.box = s.Principal, q.Guard.boxOf(s)
	r, err := q.Guard.Approve.tally(req, append(all, *s), problems)
	if err != nil {
		return nil, nil, err
	}
	counts := func(t Signed) bool { return t.ids[0] == s.ids[0] }
	if v.Verdict == Approve && !slices.ContainsFunc(r.Good, counts) {
		return nil, nil, diag.New(diag.Policy, "your approval would not count: %s requested this deployment, or another key of yours has signed", req.By).
			Hinted("ask another signer to run pipe approve %s", q.Plan.Env)
	}
	return v, r, nil
}

// sign signs a text. It lies in a file, because ssh-keygen asks for a passphrase only when its
// input is the terminal.
func (b *bench) sign(ctx context.Context, chosen, text, namespace string) (string, error) {
	file, err := b.key(ctx, chosen)
	if err != nil {
		return "", err
	}
	if err := b.put("text", text); err != nil {
		return "", err
	}
	cmd, err := b.command(ctx, "-q", "-Y", "sign", "-f", file, "-n", namespace, b.path("text"))
	if err != nil {
		return "", err
	}
	var stderr bytes.Buffer
	if cmd.Stderr = &stderr; b.Err != nil {
		cmd.Stderr = b.Err // a file as it is: keys on hardware ask to be touched only on a terminal
	}
	if b.In != nil {
		cmd.Stdin = b.In
	}
	if err := outcome(ctx, cmd.Run(), stderr.String()); err != nil {
		return "", unsigned(err, file, stderr.String())
	}
	signature, err := atomicfile.Read(b.path("text.sig"), maxVote)
	if err != nil {
		return "", err
	}
	return armor(string(signature))
}

// unsigned explains why ssh-keygen did not sign.
func unsigned(err error, file, stderr string) error {
	if !errors.Is(err, errRefused) {
		return err
	}
	e := diag.New(diag.Failed, "cannot sign with %s: ssh-keygen failed", file)
	switch {
	case strings.Contains(stderr, "passphrase"):
		e.What = "cannot sign with " + file + ": wrong or missing passphrase"
	case stderr != "":
		lines := strings.Split(strings.TrimSpace(stderr), "\n")
		e.What = "cannot sign with " + file + ": " + strings.TrimSpace(lines[len(lines)-1])
	}
	return e.Hinted("run ssh-add %s first, or choose another key with --key FILE", strings.TrimSuffix(file, ".pub"))
}

// homeKeys are the files of ~/.ssh that ssh tries by itself, without the ending of public keys.
var homeKeys = [...]string{"id_ed25519", "id_ecdsa", "id_ecdsa_sk", "id_ed25519_sk", "id_rsa"}

// key returns the file of the key to sign with.
func (b *bench) key(ctx context.Context, chosen string) (string, error) {
	if chosen != "" {
		if _, err := os.Stat(chosen); err != nil {
			return "", diag.New(diag.NotFound, "cannot read the key: %w", err).Hinted("name the file of your private key, as in --key ~/.ssh/id_ed25519")
		}
		return chosen, nil
	}
	lines, err := readSigners("signers", []byte(b.guard.Approve.Signers))
	if err != nil {
		return "", err
	}
	if file, err := b.gitKey(lines); file != "" || err != nil {
		return file, err
	}
	if file, err := b.agentKey(ctx, lines); file != "" || err != nil {
		return file, err
	}
	for _, name := range homeKeys {
		file := filepath.Join(b.Home, ".ssh", name)
		if public, err := atomicfile.Read(file+".pub", maxVote); b.Home != "" && err == nil && lines.list(string(public)) {
			return file, nil
		}
	}
	return "", diag.New(diag.Policy, "none of your ssh keys is listed as a signer").
		Hinted("choose a key with --key FILE; the signers are %s", short(lines.people(nil).names()))
}

// list reports whether a public key, as a line of its file, is a signer's own.
func (all signers) list(public string) bool {
	kind, rest := cutField(strings.TrimSpace(public))
	base64, _ := cutField(rest)
	return slices.ContainsFunc(all, func(s signer) bool { return !s.ca && s.kind == kind && s.key == base64 })
}

// gitKey returns the file of the key with which git signs; "" when it does not, or with
// another key than a signer's. The setting is a file, or a public key itself.
func (b *bench) gitKey(lines signers) (string, error) {
	if b.Git == nil || b.Git("gpg.format") != "ssh" {
		return "", nil
	}
	set := b.Git("user.signingkey")
	literal := strings.TrimPrefix(set, "key::")
	if kind, _ := cutField(literal); literal != set || isKind(kind) && kind != set {
		if !lines.list(literal) {
			return "", nil
		}
		return b.path("key.pub"), b.put("key.pub", literal+"\n")
	}
	if rest, ok := strings.CutPrefix(set, "~/"); ok {
		set = filepath.Join(b.Home, rest)
	}
	public, err := atomicfile.Read(strings.TrimSuffix(set, ".pub")+".pub", maxVote)
	kind, _ := cutField(string(public))
	if set == "" || err != nil || !lines.list(string(public)) && !(isCertificate(kind) && lines.authority()) {
		return "", nil
	}
	return set, nil
}

// agentKey returns the file of a public key whose private one the agent has.
func (b *bench) agentKey(ctx context.Context, lines signers) (string, error) {
	bin, err := b.program("ssh-add")
	if err != nil {
		return "", nil // there is no agent to ask
	}
	cmd := exec.CommandContext(ctx, bin, "-L")
	cmd.Env = b.Env
	out, err := cmd.Output()
	if err != nil {
		return "", ctx.Err() // no agent, or one without keys
	}
	for line := range strings.Lines(string(out)) {
		if lines.list(line) {
			return b.path("key.pub"), b.put("key.pub", line)
		}
	}
	return "", nil
}
