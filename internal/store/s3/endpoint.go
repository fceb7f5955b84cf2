package s3

import (
	"cmp"
	"net/netip"
	"net/url"
	"regexp"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/spec"
)

// What becomes part of a host's name is spelled out, whatever the SDK would make of it.
var (
	bucketForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$`)
	regionForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$`)
	hostForm   = regexp.MustCompile(`^[a-z0-9._-]+$`) // ASCII alone: letters of other scripts look the same
)

// own are the names of S3 itself. Other names below amazonaws.com are those of its customers'
// servers: instances, load balancers, functions, gateways. An endpoint in a VPC leads to S3
// whoever made it. See docs.aws.amazon.com/general/latest/gr/s3.html.
var own = regexp.MustCompile(`^(` +
	`s3(-fips|-accelerate)?(\.dualstack)?(\.` + region + `)?|s3-` + region + `|` +
	`([a-z]+\.)?vpce-[0-9a-z-]+\.s3\.` + region + `\.vpce` +
	`)\.amazonaws\.(com|com\.cn|eu)$`)

const region = `([a-z]{2}|eusc)(-[a-z]+)+-[0-9]`

// CheckRemote refuses a remote that Open could not take: a URL that does not read
// s3://bucket/prefix, a region that is none, an endpoint that is more than a server.
func CheckRemote(r spec.Remote) error {
	if _, _, err := parseURL(r.URL); err != nil {
		return err
	}
	if r.Region != "" && !regionForm.MatchString(r.Region) {
		return diag.New(diag.Usage, "remote %s: %q is not a valid region", r.Name, r.Region).At(r.Place).Hinted("region: eu-central-1")
	}
	if r.Endpoint == "" {
		return nil
	}
	if _, err := parseEndpoint(r.Endpoint); err != nil {
		return badEndpoint().At(r.Place)
	}
	return nil
}

func badEndpoint() *diag.Error {
	return diag.New(diag.Usage, "the endpoint must have the form https://host:port, without a user").
		Hinted("correct the endpoint of the remote, or AWS_ENDPOINT_URL_S3")
}

// parseEndpoint reads the URL of a server as net/url does, which the SDK uses, too: both see
// the same host. Its scheme and host are in lower case.
func parseEndpoint(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, err
	}
	u.Host = strings.ToLower(u.Host)
	_, notIP := netip.ParseAddr(u.Hostname())
	switch {
	case u.Scheme != "http" && u.Scheme != "https", u.User != nil, u.RawQuery != "" || u.ForceQuery, u.Fragment != "",
		notIP != nil && !hostForm.MatchString(u.Hostname()):
		return nil, badEndpoint()
	}
	return u, nil
}

// Server returns an endpoint in its normal form, so that two spellings of one server are
// equal: lower case, without the port that the scheme has anyway, without a slash at the end.
// It is empty for what is no endpoint.
func Server(endpoint string) string {
	u, err := parseEndpoint(endpoint)
	if err != nil {
		return ""
	}
	if port := map[string]string{"http": ":80", "https": ":443"}[u.Scheme]; strings.HasSuffix(u.Host, port) {
		u.Host = strings.TrimSuffix(u.Host, port)
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), strings.TrimRight(u.RawPath, "/")
	return u.String()
}

// Stranger returns the server that would get credentials because r says so, in its normal
// form; empty when there is none, or when it is nobody else's: this machine, or S3 itself.
func Stranger(r spec.Remote) string {
	u, err := parseEndpoint(r.Endpoint)
	if r.Endpoint == "" || err == nil && (loopback(u.Hostname()) || isOwn(u)) {
		return ""
	}
	return cmp.Or(Server(r.Endpoint), r.Endpoint) // what cannot be read is not trusted either
}

// loopback takes a name or an address as it stands: what must be resolved first, as 127.1 or
// localhost.example, may lead anywhere.
func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Zone() == "" && ip.Unmap().IsLoopback()
}

func isOwn(u *url.URL) bool {
	return u.Scheme == "https" && (u.Port() == "" || u.Port() == "443") && own.MatchString(u.Hostname())
}
