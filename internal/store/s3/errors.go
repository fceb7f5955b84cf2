package s3

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/store"
)

// statusOf returns the status of the server's answer, if there was one.
func statusOf(err error) (int, bool) {
	var r *awshttp.ResponseError
	if errors.As(err, &r) && r.HTTPStatusCode() != 0 {
		return r.HTTPStatusCode(), true
	}
	return 0, false
}

// codeOf returns the error code in the server's answer, such as NoSuchKey.
func codeOf(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

func codeIs(err error, status int) bool {
	got, ok := statusOf(err)
	return ok && got == status
}

// missing reports that the answer is about an object that is not there. To a role
// without s3:ListBucket AWS says 403, and only the message tells that the object
// is missing: docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html.
func missing(err error) bool {
	var api smithy.APIError
	if codeIs(err, http.StatusForbidden) && errors.As(err, &api) {
		return api.ErrorCode() == "AccessDenied" && strings.Contains(api.ErrorMessage(), "s3:ListBucket on resource")
	}
	switch codeOf(err) {
	case "NoSuchKey", "NotFound", "UnknownError", "":
		return codeIs(err, http.StatusNotFound)
	}
	return false
}

// mapped gives an error of the SDK its kind, place and hint.
func (s *Store) mapped(ctx context.Context, doing, name string, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var done *diag.Error
	if errors.As(err, &done) {
		return err
	}
	e := &diag.Error{Place: s.place(name), What: doing + ": " + plain(err), Err: err}
	var creds credentialsError
	status, answered := statusOf(err)
	switch {
	case errors.As(err, &creds):
		e.Kind, e.What = diag.Auth, doing+": no AWS credentials: "+creds.Error()
		e.Hint = "run aws configure, or export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
	case answered && status >= 300:
		s.answered(e, status, codeOf(err), err)
	default: // or an answer that began well, and broke off
		s.unreached(e, err)
	}
	return e
}

// answered sorts the errors that the server stated.
func (s *Store) answered(e *diag.Error, status int, code string, err error) {
	switch {
	case code == "NoSuchBucket":
		e.Kind, e.Place, e.What = diag.NotFound, "s3://"+s.bucket, "the bucket does not exist"
		e.Hint = "correct the URL of the remote, or create the bucket: aws s3 mb s3://" + s.bucket
	case code == "RequestTimeTooSkewed":
		e.Kind, e.Hint = diag.Auth, "set this machine's clock: the server rejects requests more than 15 minutes off"
	case unknownUser(code) || status == http.StatusUnauthorized:
		e.Kind, e.Hint = diag.Auth, "correct or renew AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (aws configure list shows where they come from)"
	case missing(err):
		e.Kind, e.What, e.Err = diag.NotFound, store.ErrNotFound.Error(), fmt.Errorf("%w: %w", store.ErrNotFound, err)
	case status == http.StatusForbidden:
		_ = s.forbidden(e)
	case status == http.StatusMovedPermanently, code == "AuthorizationHeaderMalformed":
		e.Kind, e.Hint = diag.Usage, "set the region of the remote to the answer of: aws s3api get-bucket-location --bucket "+s.bucket
	case isDamaged(code):
		e.Kind, e.Hint = diag.Integrity, "the data changed in transit; run the command again"
	case status == http.StatusNotImplemented:
		e.Kind, e.Hint = diag.Policy, "use a server that honours If-None-Match and If-Match on PUT"
	case status >= 500, status == http.StatusTooManyRequests, code == "SlowDown", code == "RequestTimeout":
		e.Kind, e.Hint = diag.Network, "the server is overloaded or failing; run the command again later, or with fewer jobs (-j)"
	case status == http.StatusPreconditionFailed, status == http.StatusConflict:
		e.Kind, e.Hint = diag.Busy, "another run wrote at the same time; run the command again"
	default:
		e.Hint = "check access to the bucket: aws s3 ls " + s.URL()
	}
}

func isDamaged(code string) bool {
	_, ok := damaged()[code]
	return ok
}

// forbidden is the kind and hint of 403.
func (s *Store) forbidden(e *diag.Error) error {
	e.Kind = diag.Auth
	e.Hint = "check AWS_ACCESS_KEY_ID; allow s3:GetObject and s3:PutObject on " + s.place("*") + ", and s3:ListBucket on the bucket (without it missing objects look forbidden)"
	return e
}

// unknownUser reports codes that say: the server does not know or trust the credentials.
func unknownUser(code string) bool {
	switch code {
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "ExpiredTokenException", "InvalidToken",
		"TokenRefreshRequired", "XAdminUserNotFound", "InvalidClientTokenId", "UnrecognizedClientException":
		return true
	}
	return false
}

// unreached sorts the errors of a connection.
func (s *Store) unreached(e *diag.Error, err error) {
	e.Kind = diag.Network
	var cert *tls.CertificateVerificationError
	switch {
	case errors.As(err, &cert):
		e.Hint = "export AWS_CA_BUNDLE=FILE, where FILE has the server's CA certificate"
	case s.endpoint != "":
		e.Hint = "check whether the server can be reached: curl -sI " + s.endpoint
	default:
		e.Hint = "check whether the server can be reached: aws s3 ls " + s.URL()
	}
}

// plain is the part of an SDK error that a person needs.
func plain(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		status, _ := statusOf(err)
		text := fmt.Sprintf("the server answered %d %s", status, api.ErrorCode())
		if m := api.ErrorMessage(); m != "" {
			text += ": " + m
		}
		return text
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Error()
	}
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err.Error()
	}
	var sdk *smithy.OperationError
	if errors.As(err, &sdk) {
		return sdk.Err.Error()
	}
	return err.Error()
}
