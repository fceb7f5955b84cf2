// Package image takes names of container images apart, as docker writes them.
//
// A name is [HOST[:PORT]/]PATH[:TAG][@DIGEST]. Its first part is a host if it has a dot, a colon or a capital
// letter, or is localhost; otherwise the image lies at Docker Hub, in library if its path has one part alone.
// See github.com/distribution/reference, whose grammar this is.
package image

import (
	"errors"
	"net/netip"
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

// maxPath is how long the path of a repository may be.
const maxPath = 255

// Parse reads a name.
func Parse(text string) (n Name, err error) {
	rest, hash, pinned := strings.Cut(text, "@")
	if pinned && !IsDigest(hash) {
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
	case !isAddress(n.Host):
		return n, errors.New("its host is not valid")
	case !isPath(n.Path) || len(n.Path) > maxPath:
		return n, errors.New("its path must have lower-case letters, digits and single separators ( . _ __ - / )")
	case tagged && !isTag(n.Tag):
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

const (
	digits = "0123456789"
	lower  = "abcdefghijklmnopqrstuvwxyz"
	upper  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

// consists reports whether a text has these characters alone, and at least one.
func consists(s, of string) bool { return s != "" && strings.Trim(s, of) == "" }

// IsDigest reports whether a text is the digest of a manifest, in one of the two algorithms that registries know.
func IsDigest(s string) bool {
	kind, hex, _ := strings.Cut(s, ":")
	return consists(hex, digits+"abcdef") && (kind == "sha256" && len(hex) == 64 || kind == "sha512" && len(hex) == 128)
}

func isTag(s string) bool {
	return len(s) <= 128 && consists(s, digits+lower+upper+"_.-") && !strings.ContainsAny(s[:1], ".-")
}

// isAddress reports whether a text is a host, with or without a port.
func isAddress(s string) bool {
	name, port := s, ""
	if i := strings.LastIndexByte(s, ':'); i >= 0 && !strings.HasSuffix(s, "]") {
		if name, port = s[:i], s[i+1:]; !consists(port, digits) || len(port) > 5 {
			return false
		}
	}
	if ip, ok := strings.CutPrefix(name, "["); ok {
		a, err := netip.ParseAddr(strings.TrimSuffix(ip, "]"))
		return err == nil && a.Is6() && strings.HasSuffix(ip, "]")
	}
	for label := range strings.SplitSeq(name, ".") {
		if !consists(label, digits+lower+upper+"-") || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
	}
	return true
}

// isPath reports whether each part has words of lower-case letters and digits, with one separator between two.
func isPath(s string) bool {
	for part := range strings.SplitSeq(s, "/") {
		for {
			rest := strings.TrimLeft(part, digits+lower)
			if rest == part {
				return false // it begins or ends with a separator, or is empty
			}
			if rest == "" {
				break
			}
			part = strings.TrimLeft(rest, "._-")
			if sep := rest[:len(rest)-len(part)]; sep != "." && sep != "_" && sep != "__" && !consists(sep, "-") {
				return false
			}
		}
	}
	return true
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
