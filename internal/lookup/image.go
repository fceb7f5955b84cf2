package lookup

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/image"
)

// Image returns the digest of the manifest that a tag has now, ALGORITHM:HEX; of an image for several platforms that of
// its index. Registries are asked over TLS; one on this machine that does not speak it, without. See
// github.com/opencontainers/distribution-spec.
func (c *Client) Image(ctx context.Context, n image.Name) (digest string, err error) {
	client, err := c.docker()
	if err != nil {
		return "", diag.New(diag.Auth, "read docker's credentials: %w", err).Hinted("correct the file, or run docker login %s", n.Host)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, imageTimeout, errSlow)
	defer cancel()
	repo := &remote.Repository{Client: client, Reference: registry.Reference{Registry: n.Host, Repository: n.Path, Reference: n.Tag}}
	digest, err = manifest(ctx, repo)
	if n.IsLocal() && errors.Is(err, http.ErrSchemeMismatch) {
		repo.PlainHTTP = true
		digest, err = manifest(ctx, repo)
	}
	if err != nil {
		return "", denied(ctx, n, err)
	}
	return digest, nil
}

// manifest asks by HEAD, which counts as no download. A registry need not name the digest in its answer to that: then
// the manifest is hashed.
func manifest(ctx context.Context, repo *remote.Repository) (string, error) {
	d, err := repo.Resolve(ctx, repo.Reference.Reference)
	if err == nil || isFinal(err) {
		return d.Digest.String(), err
	}
	d, body, err := repo.FetchReference(ctx, repo.Reference.Reference)
	if err != nil {
		return "", err
	}
	if err := body.Close(); err != nil {
		return "", err
	}
	if !strings.HasPrefix(d.MediaType, "application/vnd.") { // a login page of the network would have a hash, too
		return "", fmt.Errorf("it answered with %s, not with a manifest", d.MediaType)
	}
	return d.Digest.String(), nil
}

// isFinal reports an error that is not about HEAD.
func isFinal(err error) bool {
	var unanswered *url.Error
	var status *errcode.ErrorResponse
	var cred credentialError
	return errors.As(err, &unanswered) || errors.As(err, &cred) || errors.Is(err, errdef.ErrNotFound) || errors.Is(err, auth.ErrBasicCredentialNotFound) ||
		errors.As(err, &status) && status.StatusCode != http.StatusMethodNotAllowed
}

// credentialError is that docker's credentials for a registry cannot be had.
type credentialError struct{ error }

func (e credentialError) Unwrap() error { return e.error }

// login returns a client with the credentials that docker has, in its configuration or by its helpers. It asks for them
// when a registry demands some.
func (c *Client) login() (*auth.Client, error) {
	client := &auth.Client{Client: c.http, Cache: auth.NewCache(), ClientID: "pipe", Header: http.Header{"User-Agent": {c.agent}}}
	dir := os.Getenv("DOCKER_CONFIG")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return client, nil // who has no home has never logged in
		}
		dir = filepath.Join(home, ".docker")
	}
	store, err := credentials.NewStore(filepath.Join(dir, "config.json"), credentials.StoreOptions{})
	if err != nil {
		return nil, err
	}
	of := credentials.Credential(store)
	client.Credential = func(ctx context.Context, host string) (auth.Credential, error) {
		cred, err := of(ctx, host)
		if err != nil {
			err = credentialError{err}
		}
		return cred, err
	}
	return client, nil
}

// denied says why a registry did not answer.
func denied(ctx context.Context, n image.Name, err error) error {
	var status *errcode.ErrorResponse
	var cred credentialError
	login := "run docker login " + n.Host + ", or name"
	switch {
	case errors.Is(err, errdef.ErrNotFound):
		return diag.New(diag.NotFound, "%s has no %s:%s", n.Host, n.Path, n.Tag).Hinted("correct the name of the image")
	case errors.As(err, &cred):
		return diag.New(diag.Auth, "read docker's credentials for %s: %w", n.Host, cred.error).Hinted("%s %s", login, pinned)
	case errors.Is(err, auth.ErrBasicCredentialNotFound),
		errors.As(err, &status) && (status.StatusCode == http.StatusUnauthorized || status.StatusCode == http.StatusForbidden):
		return diag.New(diag.Auth, "%s denies access to %s:%s, or has no such image", n.Host, n.Path, n.Tag).Hinted("%s %s", login, pinned)
	case status != nil:
		return diag.New(diag.Network, "%s answered %s", n.Host, statusText(status.StatusCode)).Hinted("try again later, or name %s", pinned)
	}
	return unreached(ctx, err, "check the network, or name "+pinned)
}

const pinned = "the image by its digest, which needs no registry: NAME@sha256:DIGEST"
