package approval

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/digest"
)

// Question is whether a plan may be carried out.
type Question struct {
	Plan    *Plan    // as the environment is now
	Request []byte   // what lies in the store for it
	Votes   [][]byte // all that lie there for it
	Guard   *Guard   // the pinned one
}

// Signed is a vote whose signature is good.
type Signed struct {
	Principal string // the first name in the signers file, or the certificate, that ssh-keygen confirms
	Verdict   Verdict
	Turn      int
	At        time.Time // a claim of who wrote the vote, as is Reason
	Reason    string

	ids []string // the key and all names
}

// Result is the answer to a Question.
type Result struct {
	Need     int      // approvals; 0: nobody is asked
	Good     []Signed // approvals that count, one for each person
	Rejected []Signed // rejections that count, one for each person
	Missing  []string // who else may approve, by name
	Problems []string // why other votes do not count, each a line for people

	all []Signed
}

// maxVotes bounds how many times ssh-keygen is started. More are refused as a whole: one that
// is not looked at could be a rejection.
const maxVotes = 256

// Check says who approved of a plan and who rejected it. It fails with diag.Policy when the
// request is for another plan or a newer pipe wrote a vote, and with diag.Integrity when the
// request cannot be read. What else is wrong with a vote is a problem and no error: one bad
// object does not keep the others from counting.
func (k *Keygen) Check(ctx context.Context, q Question) (*Result, error) {
	if q.Guard.Approve == nil {
		return &Result{}, nil
	}
	req, plan, err := q.request()
	if err != nil {
		return nil, err
	}
	b, err := k.bench(q.Guard)
	if err != nil {
		return nil, err
	}
	defer b.close()
	all, problems, err := b.verify(ctx, q, plan)
	if err != nil {
		return nil, err
	}
	return q.Guard.Approve.tally(req, all, problems)
}

// request reads the request, and refuses it when it is for another plan.
func (q *Question) request() (*Request, digest.Digest, error) {
	req, err := ParseRequest(q.Request)
	if err != nil {
		return nil, digest.Digest{}, err
	}
	asked, err := req.Plan.Digest()
	if err != nil {
		return nil, asked, err
	}
	now, err := q.Plan.Digest()
	if err == nil && now != asked {
		err = diag.New(diag.Policy, "stale plan: environment %s has changed since approval was requested", q.Plan.Env).
			Hinted("run pipe deploy %s, which requests approval of the new plan", q.Plan.Env)
	}
	if err != nil {
		return nil, asked, err
	}
	return req, asked, nil
}

// verify looks at each vote on the plan.
func (b *bench) verify(ctx context.Context, q Question, plan digest.Digest) (all []Signed, problems []string, err error) {
	if len(q.Votes) > maxVotes {
		return nil, nil, diag.New(diag.Policy, "there are %d approvals and rejections of one plan, more than %d", len(q.Votes), maxVotes).
			Hinted("delete the objects below approvals/ that nobody on your team wrote")
	}
	for _, doc := range q.Votes {
		v, err := ParseVote(doc)
		if diag.Is(err, diag.Policy) { // of a newer pipe, it may be a rejection
			return nil, nil, err
		}
		if err != nil {
			problems = append(problems, err.Error())
			continue
		}
		s, why, err := b.verifyVote(ctx, v, plan, q.Request)
		if err != nil {
			return nil, nil, err
		}
		if why != "" {
			problems = append(problems, fmt.Sprintf("%s signed as %s does not count: %s", v.Verdict.noun(), v.Principal, why))
			continue
		}
		all = append(all, *s)
	}
	return all, problems, nil
}

func (v Verdict) noun() string {
	if v == Reject {
		return "rejection"
	}
	return "approval"
}

// message is what is signed: the request, and for a vote that takes back an earlier one its
// turn. A request is one line, so no request is another one with a turn.
func message(request []byte, turn int) string {
	if turn == 0 {
		return string(request)
	}
	return fmt.Sprintf("%sturn %d\n", request, turn)
}

// maxNames bounds the names of one certificate.
const maxNames = 16

// verifyVote asks ssh-keygen whose signature it is, and for each name whether it is good. A
// certificate's names may contain line ends, so that those which are printed are not yet
// proved. Why is not empty when the vote does not count.
func (b *bench) verifyVote(ctx context.Context, v *Vote, plan digest.Digest, request []byte) (s *Signed, why string, err error) {
	if v.Plan != plan {
		return nil, "it is for another plan", nil
	}
	if err := b.put("sig", v.Signature); err != nil {
		return nil, "", err
	}
	printed, why, err := b.run(ctx, nil, "-Y", "find-principals", "-f", b.path("signers"), "-s", b.path("sig"))
	names := strings.Split(strings.ReplaceAll(strings.TrimSpace(printed), "\r", ""), "\n")
	switch {
	case errors.Is(err, errRefused):
		return nil, reason(why), nil
	case err != nil:
		return nil, "", err
	case len(names) > maxNames:
		return nil, fmt.Sprintf("its certificate has more than %d names", maxNames), nil
	}
	s = &Signed{Verdict: v.Verdict, Turn: v.Turn, At: v.At, Reason: v.Reason}
	for _, n := range names {
		if n == "" || n[0] == '!' { // a pattern of the line that takes nobody in
			continue
		}
		good, no, err := b.run(ctx, strings.NewReader(message(request, v.Turn)),
			"-Y", "verify", "-f", b.path("signers"), "-I", n, "-n", v.Verdict.namespace(), "-s", b.path("sig"))
		if errors.Is(err, errRefused) {
			why = no
			continue
		}
		if err != nil {
			return nil, "", err
		}
		// "... key SHA256:DIGITS"; of a certificate these are of the holder's key.
		at := strings.LastIndex(good, " key SHA256:") // the name before it may have any text
		if at < 0 {
			return nil, "", fmt.Errorf("cannot understand ssh-keygen: %q", good)
		}
		if s.Principal == "" {
			s.Principal, s.ids = n, []string{key(strings.TrimSpace(good[at+len(" key "):]))}
		}
		s.ids = append(s.ids, name(n))
	}
	if s.Principal == "" {
		return nil, reason(why), nil
	}
	return s, "", nil
}

// reasons translate what ssh-keygen says. It decided by its exit code; this is only the text.
var reasons = [...][2]string{
	{"namespace does not match", "it was signed for another purpose"},
	{"incorrect signature", "it signs something other than this request"},
	{"signature namespace", "namespaces= in the signers file excludes it"},
	{"expired", "the key or its certificate has expired"},
	{"not yet valid", "the key or its certificate is not yet valid"},
	{"No principal matched", "the key is not listed as a signer"},
}

func reason(stderr string) string {
	for _, r := range reasons {
		if strings.Contains(stderr, r[0]) {
			return r[1]
		}
	}
	line, _, _ := strings.Cut(strings.TrimSpace(stderr), "\n")
	return "ssh-keygen refused it: " + strings.TrimSpace(line)
}

// tally counts people, not signatures.
func (a *Approvers) tally(req *Request, all []Signed, problems []string) (*Result, error) {
	lines, err := readSigners("signers", []byte(a.Signers))
	if err != nil {
		return nil, err
	}
	r := &Result{Need: a.Count, Problems: problems, all: all}
	p := lines.people(all)
	var done []string
	if a.NotSelf {
		done = append(done, p.who(name(req.By)))
	}
	for who, s := range last(p, all) {
		switch {
		case s.Verdict == Reject:
			r.Rejected = append(r.Rejected, s)
		case a.NotSelf && (s.fits(name(req.By)) || slices.Contains(done, who)):
			r.Problems = append(r.Problems, fmt.Sprintf("approval by %s does not count: they requested the deployment (not_self)", s.Principal))
		default:
			r.Good = append(r.Good, s)
		}
	}
	for _, s := range r.Good {
		done = append(done, p.who(s.ids[0]))
	}
	r.settle()
	r.Missing = p.names(done...)
	return r, nil
}

// settle sorts all lists. Behind a pattern may be anyone whom it fits: such an approval does
// not count beside one of theirs.
func (r *Result) settle() {
	order := func(a, b Signed) int { // those with a name first
		if byName := strings.Compare(a.Principal, b.Principal); a.pattern() == b.pattern() {
			return byName
		} else if a.pattern() {
			return 1
		}
		return -1
	}
	slices.SortFunc(r.Good, order)
	slices.SortFunc(r.Rejected, order)
	var kept []Signed
	for _, s := range r.Good {
		i := slices.IndexFunc(kept, func(k Signed) bool { return slices.ContainsFunc(k.ids, s.fits) })
		if i < 0 {
			kept = append(kept, s)
			continue
		}
		r.Problems = append(r.Problems, fmt.Sprintf("approval by %s does not count: it may be that of %s", s.Principal, kept[i].Principal))
	}
	r.Good = kept
	slices.Sort(r.Problems)
}

func (s *Signed) pattern() bool { return strings.ContainsAny(s.Principal, "*?") }

// fits reports whether one of the signer's names, or of the patterns in their place, is id.
func (s *Signed) fits(id string) bool {
	return slices.ContainsFunc(s.ids[1:], func(n string) bool { return match(n, id) })
}

// last returns the last vote of each person; of two with one turn the rejection.
func last(p *people, all []Signed) map[string]Signed {
	best := map[string]Signed{}
	for _, s := range all {
		who := p.who(s.ids[0])
		old, found := best[who]
		if !found || s.Turn > old.Turn || s.Turn == old.Turn && s.Verdict == Reject {
			best[who] = s
		}
	}
	return best
}

// Enough reports whether the plan may be carried out.
func (r *Result) Enough() bool { return len(r.Rejected) == 0 && len(r.Good) >= r.Need }

// turn is that of the next vote: beyond all that say the contrary, which it may take back.
func (r *Result) turn(v Verdict) int {
	next := 0
	for _, s := range r.all {
		if s.Verdict != v {
			next = max(next, s.Turn+1)
		}
	}
	return min(next, maxTurn)
}

// String says in one line where the plan stands, without the problems.
func (r *Result) String() string {
	switch missing := r.Need - len(r.Good); {
	case len(r.Rejected) > 0:
		return "rejected by " + principals(r.Rejected)
	case r.Need == 0:
		return "no approval needed"
	case missing <= 0:
		return "approved by " + principals(r.Good)
	default:
		text := fmt.Sprintf("%d of %d approvals", len(r.Good), r.Need)
		if r.Need == 1 {
			text = "0 of 1 approval"
		}
		if len(r.Good) > 0 {
			text += ": " + principals(r.Good)
		}
		text += fmt.Sprintf("; missing: %d", missing)
		if len(r.Missing) == 0 {
			return text + ", but there are no other signers"
		}
		return text + " of " + short(r.Missing)
	}
}

func principals(all []Signed) string {
	var names []string
	for _, s := range all {
		names = append(names, s.Principal)
	}
	return short(names)
}

// short joins names, and counts those beyond the first ones.
func short(names []string) string { return strings.Join(view.Few(names, 8), ", ") }
