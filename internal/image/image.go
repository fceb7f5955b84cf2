// Package image takes names of container images apart, as docker writes them.
//
// A name is [HOST[:PORT]/]PATH[:TAG][@DIGEST]. Its first part is a host if it has a dot, a colon or a capital
// letter, or is localhost; otherwise the image lies at Docker Hub, in library if its path has one part alone.
// See github.com/distribution/reference, whose grammar this is.
package image

import (
	"errors"
	"net/netip"
	"regexp"
	"strings"
)

// Hub is the host of images whose names have none.
const Hub = "docker.io"

// Name is the name of an image, with what it leaves unsaid.
type Name struct {
	Host   string // of the registry, with its port where the name has one
	Path   string // of the repository there
	Tag    string // latest where the name has neither tag nor digest; empty beside a digest
	Digest string // sha256:HEX or sha512:HEX, by which the image never changes; empty: the tag counts
}

var (
	host   = regexp.MustCompile(`^(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?$`)
	path   = regexp.MustCompile(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$`)
	tag    = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)
	digest = regexp.MustCompile(`^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$`)
)

// maxPath is how long the path of a repository may be.
const maxPath = 255

// Parse reads a name.
func Parse(text string) (n Name, err error) {
	rest, hash, pinned := strings.Cut(text, "@")
	if pinned && !digest.MatchString(hash) {
		return n, errors.New("the digest must be sha256: and 64, or sha512: and 128, lower-case hexadecimal digits")
	}
	n.Host, n.Path, n.Digest = Hub, rest, hash
	if first, more, ok := strings.Cut(rest, "/"); ok && isHost(first) {
		n.Host, n.Path = first, more
	}
	n.Path, n.Tag, _ = strings.Cut(n.Path, ":")
	switch n.Host {
	case "index." + Hub, "registry-1." + Hub:
		n.Host = Hub
	}
	if n.Host == Hub && !strings.Contains(n.Path, "/") {
		n.Path = "library/" + n.Path
	}
	tagged := strings.HasSuffix(rest, ":") || n.Tag != ""
	switch {
	case strings.Contains(text, "://"):
		return n, errors.New("a name has no scheme; write it as for docker pull")
	case !host.MatchString(n.Host):
		return n, errors.New("its host is not valid")
	case !path.MatchString(n.Path) || len(n.Path) > maxPath:
		return n, errors.New("its path must have lower-case letters, digits and single separators ( . _ __ - / )")
	case tagged && !tag.MatchString(n.Tag):
		return n, errors.New("its tag must have 1 to 128 letters, digits, _, . or -, and not begin with . or -")
	case pinned:
		n.Tag = "" // the digest decides
	case n.Tag == "":
		n.Tag = "latest"
	}
	return n, nil
}

func isHost(first string) bool {
	return first == "localhost" || strings.ContainsAny(first, ".:") || strings.ToLower(first) != first
}

// IsLocal reports whether the registry is on this machine, by its name as it stands.
func (n Name) IsLocal() bool {
	h := n.Host
	if i := strings.LastIndexByte(h, ':'); i >= 0 && !strings.HasSuffix(h, "]") {
		h = h[:i]
	}
	ip, err := netip.ParseAddr(strings.Trim(h, "[]"))
	return h == "localhost" || err == nil && ip.Unmap().IsLoopback()
}
