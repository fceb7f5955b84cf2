package approval_test

import (
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/approval"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/pkg/digest"
)

// vectors reads a file of testdata/vectors/approval, which other languages read, too.
func vectors[T any](t *testing.T, file string) (all []T) {
	t.Helper()
	b, err := os.ReadFile("../../testdata/vectors/approval/" + file)
	if err == nil {
		err = json.Unmarshal(b, &all)
	}
	if err != nil || len(all) == 0 {
		t.Fatal(len(all), err)
	}
	return all
}

func TestVectorsOfDocuments(t *testing.T) {
	for _, v := range vectors[struct{ Name, Form, Bytes, Digest, Plan, Refused string }](t, "documents.json") {
		var doc interface{ Encode() ([]byte, error) }
		var err error
		switch v.Form {
		case "guard":
			doc, err = approval.ParseGuard([]byte(v.Bytes))
		case "request":
			doc, err = approval.ParseRequest([]byte(v.Bytes))
		case "vote":
			doc, err = approval.ParseVote([]byte(v.Bytes))
		default:
			t.Fatal(v.Form)
		}
		if v.Refused != "" {
			if err == nil || diag.KindOf(err).String() != v.Refused {
				t.Errorf("%s: %v, want a refusal of kind %s", v.Name, err, v.Refused)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", v.Name, err)
			continue
		}
		if b, err := doc.Encode(); err != nil || string(b) != v.Bytes || digest.Of(b).String() != v.Digest {
			t.Errorf("%s: %s, %v", v.Name, b, err)
		}
		if r, ok := doc.(*approval.Request); ok {
			if d, err := r.Plan.Digest(); err != nil || d.String() != v.Plan {
				t.Errorf("%s: plan %s, %v", v.Name, d, err)
			}
		}
	}
}

func TestVectorsOfVotes(t *testing.T) {
	type vector struct {
		Name, Guard, Plan, Request string
		Votes, Good, Rejected      []string
		Problems                   int
		Enough                     bool
	}
	d := newDesk(t)
	for _, v := range vectors[vector](t, "votes.json") {
		g, err := approval.ParseGuard([]byte(v.Guard))
		d.must(err)
		req, err := approval.ParseRequest([]byte(v.Request))
		d.must(err)
		q := approval.Question{Plan: &req.Plan, Request: []byte(v.Request), Guard: g}
		for _, vote := range v.Votes {
			q.Votes = append(q.Votes, []byte(vote))
		}
		r := d.check(q)
		names := func(all []approval.Signed) (names []string) {
			for _, s := range all {
				names = append(names, s.Principal)
			}
			return names
		}
		if !slices.Equal(names(r.Good), v.Good) || !slices.Equal(names(r.Rejected), v.Rejected) || len(r.Problems) != v.Problems || r.Enough() != v.Enough {
			t.Errorf("%s: %s; rejected %v; %q", v.Name, r, r.Rejected, r.Problems)
		}
	}
}

func TestVectorsOfSignersFiles(t *testing.T) {
	for _, v := range vectors[struct {
		Name, File, Normal string
		Faults             []int
	}](t, "signers.json") {
		g, err := approval.NewGuard(nil, &spec.Approve{Signers: "f", Count: 1}, []byte(v.File))
		var faults []int
		for _, e := range diag.All(err) {
			_, line, _ := strings.Cut(e.Place, ":")
			n, _ := strconv.Atoi(line) // 0: the whole file
			faults = append(faults, n)
		}
		if !slices.Equal(faults, v.Faults) || err == nil && g.Approve.Signers != v.Normal {
			t.Errorf("%s: %v, %+v", v.Name, err, g)
		}
	}
}
