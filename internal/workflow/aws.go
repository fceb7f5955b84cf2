package workflow

import (
	"encoding/json"
	"slices"
	"strings"
)

// Access is what the policies depend on.
type Access struct {
	Account    string   // of AWS: 12 digits
	Repository string   // OWNER/NAME on GitHub, or OWNER@ID/NAME@ID
	Branches   []string // whose pushes deploy
	Deploy     string   // names of the roles: the one that writes,
	Plan       string   // the one that pull requests get,
	Approve    string   // and the one of those who approve; empty: nobody has to
	Places     []Place
}

// Place is a prefix of a bucket that is a remote, or part of one.
type Place struct {
	Bucket, Prefix string   // Prefix without slashes around it; may be empty
	Region         string   // empty: one of the usual partition
	States         bool     // the states of the environments are there
	Project        string   // whose states
	Signed         []string // environments that ask for signatures
}

// Policy is a policy document of AWS.
type Policy struct {
	Version   string      `json:"Version"`
	Statement []Statement `json:"Statement"`
}

// Statement is one rule of a Policy.
type Statement struct {
	Sid       string                         `json:"Sid,omitempty"`
	Effect    string                         `json:"Effect"`
	Principal map[string][]string            `json:"Principal"`
	Action    []string                       `json:"Action"`
	Resource  []string                       `json:"Resource,omitempty"`
	Condition map[string]map[string][]string `json:"Condition,omitempty"`
}

// Buckets returns the buckets, each once, in the order of the places.
func (a Access) Buckets() (names []string) {
	for _, p := range a.Places {
		if !slices.Contains(names, p.Bucket) {
			names = append(names, p.Bucket)
		}
	}
	return names
}

// BucketPolicy returns what a bucket must allow. Both roles read, the deploying one writes, and nobody
// deletes: what is written once stays. The role of pull requests is also denied to write, whatever else
// allows it, because the main branch believes what it reads. Approvals are written by those who approve alone.
//
// Writes on a condition need nothing beside s3:PutObject and s3:GetObject, see
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
func (a Access) BucketPolicy(bucket string) Policy {
	var objects, approvals, prefixes []string
	partition := "aws"
	for _, p := range a.Places {
		if p.Bucket != bucket {
			continue
		}
		partition = p.partition()
		objects = append(objects, p.arn("*"))
		prefixes = append(prefixes, p.path("*"))
		if p.States && a.Approve != "" {
			for _, env := range p.Signed {
				approvals = append(approvals, p.arn("projects/"+p.Project+"/env/"+env+"/approvals/*"))
			}
		}
	}
	readers := []string{a.role(partition, a.Deploy), a.role(partition, a.Plan)}
	if len(approvals) > 0 {
		readers = append(readers, a.role(partition, a.Approve))
	}
	who := func(roles ...string) map[string][]string { return map[string][]string{"AWS": roles} }
	list := map[string]map[string][]string{"StringLike": {"s3:prefix": prefixes}}
	p := Policy{Version: "2012-10-17", Statement: []Statement{
		{Sid: "Read", Effect: "Allow", Principal: who(readers...), Action: []string{"s3:GetObject"}, Resource: objects},
		{Sid: "List", Effect: "Allow", Principal: who(readers...), Action: []string{"s3:ListBucket"}, Resource: []string{"arn:" + partition + ":s3:::" + bucket}, Condition: list},
		{Sid: "Publish", Effect: "Allow", Principal: who(readers[0]), Action: []string{"s3:PutObject", "s3:AbortMultipartUpload"}, Resource: objects},
		{Sid: "PullRequestsOnlyRead", Effect: "Deny", Principal: who(readers[1]), Action: []string{"s3:Put*", "s3:Delete*"}, Resource: objects},
	}}
	if len(approvals) > 0 {
		p.Statement = append(p.Statement,
			Statement{Sid: "Approve", Effect: "Allow", Principal: who(readers[2]), Action: []string{"s3:PutObject"}, Resource: approvals},
			Statement{Sid: "OnlyApproversApprove", Effect: "Deny", Principal: who(readers[0]), Action: []string{"s3:PutObject"}, Resource: approvals})
	}
	return p
}

// DeployTrust returns who may take the deploying role: workflows of the branches that deploy.
func (a Access) DeployTrust() Policy {
	var refs []string
	for _, b := range a.Branches {
		refs = append(refs, "ref:refs/heads/"+b)
	}
	return a.trust(refs...)
}

// PlanTrust returns who may take the role of pull requests. GitHub gives a pull request from a fork no token
// for any role.
func (a Access) PlanTrust() Policy { return a.trust("pull_request") }

// issuer is who signs GitHub's tokens.
const issuer = "token.actions.githubusercontent.com"

// trust returns the trust policy for workflows of the repository whose context is one of those.
//
// Repositories that were made or renamed since July 2026 have numbers in the subject of their tokens,
// repo:OWNER@ID/NAME@ID. Where these are not known, both forms are trusted. That a star stands for anything
// does no harm: no other owner's name begins with OWNER@, and no name of GitHub's or git's contains the
// colon behind NAME@ID. See https://docs.github.com/en/actions/reference/security/oidc
func (a Access) trust(contexts ...string) Policy {
	owner, name, _ := strings.Cut(a.Repository, "/")
	known := strings.Contains(owner, "@") && strings.Contains(name, "@")
	var exact, alike []string
	for _, c := range contexts {
		exact = append(exact, "repo:"+escape(a.Repository)+":"+escape(c))
		alike = append(alike, "repo:"+escape(a.Repository)+":"+escape(c), "repo:"+escape(owner)+"@*/"+escape(name)+"@*:"+escape(c))
	}
	condition := map[string]map[string][]string{"StringEquals": {issuer + ":aud": {"sts.amazonaws.com"}}}
	if known {
		condition["StringEquals"][issuer+":sub"] = exact
	} else {
		condition["StringLike"] = map[string][]string{issuer + ":sub": alike}
	}
	partition := "aws"
	if len(a.Places) > 0 {
		partition = a.Places[0].partition()
	}
	return Policy{Version: "2012-10-17", Statement: []Statement{{
		Effect: "Allow", Principal: map[string][]string{"Federated": {"arn:" + partition + ":iam::" + a.Account + ":oidc-provider/" + issuer}},
		Action: []string{"sts:AssumeRoleWithWebIdentity"}, Condition: condition,
	}}}
}

// escape makes a text match itself alone where AWS knows patterns.
func escape(s string) string {
	return strings.NewReplacer("*", "${*}", "?", "${?}", "$", "${$}").Replace(s)
}

func (a Access) role(partition, name string) string {
	return "arn:" + partition + ":iam::" + a.Account + ":role/" + name
}

// partition returns the part of AWS that the region belongs to.
func (p Place) partition() string {
	switch {
	case strings.HasPrefix(p.Region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(p.Region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

// path returns the key of what lies below the prefix.
func (p Place) path(below string) string {
	if p.Prefix == "" {
		return below
	}
	return escape(p.Prefix) + "/" + below
}

func (p Place) arn(below string) string {
	return "arn:" + p.partition() + ":s3:::" + p.Bucket + "/" + p.path(below)
}

// JSON returns the document as people paste it.
func (p Policy) JSON() json.RawMessage {
	b, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		panic(err) // texts and lists of texts
	}
	return b
}
