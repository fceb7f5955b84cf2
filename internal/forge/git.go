package forge

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"net/url"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// serveGit answers git, as GitHub answers it over https.
func (f *Forge) serveGit(w http.ResponseWriter, r *http.Request) {
	owner, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	name, path, _ := strings.Cut(rest, "/")
	repo := f.repo(owner + "/" + strings.TrimSuffix(name, ".git"))
	write := path == "git-receive-pack" || r.URL.Query().Get("service") == "git-receive-pack"

	k, known := f.token(r)
	anonymous := k == nil
	switch {
	case anonymous && (write || repo == nil || !repo.public):
		// Without credentials GitHub does not tell what is there.
		w.Header().Set("WWW-Authenticate", `Basic realm="GitHub"`)
		say(w, http.StatusUnauthorized, "No anonymous write access.")
		return
	case !known:
		w.Header().Set("WWW-Authenticate", `Basic realm="GitHub"`)
		say(w, http.StatusUnauthorized, "Invalid username or token. Password authentication is not supported for Git operations.")
		return
	case repo == nil || !k.reaches(repo):
		say(w, http.StatusNotFound, "Repository not found.")
		return
	}
	have := k.right(repo, func(k *Token) Right { return k.Contents })
	switch {
	case write && have < Write:
		say(w, http.StatusForbidden, "Permission to %s.git denied to %s.", repo.Name, k.Login)
		return
	case have < Read:
		say(w, http.StatusForbidden, "Write access to repository not granted.")
		return
	}
	login := ""
	if !anonymous {
		login = k.Login
	}
	if path == "git-receive-pack" && !repo.receive(w, r, login) {
		return
	}
	repo.pass(w, r, path, login)
}

// pass hands a request to git http-backend.
func (r *Repo) pass(w http.ResponseWriter, req *http.Request, path, login string) {
	exe, err := exec.LookPath("git")
	if err != nil {
		say(w, http.StatusInternalServerError, "%v", err)
		return
	}
	// A CGI program is told how long the body is.
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // the client is gone
	}
	in := req.Clone(req.Context())
	in.Body, in.ContentLength, in.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
	in.URL = &url.URL{Path: "/" + path, RawQuery: req.URL.RawQuery}
	(&cgi.Handler{
		Path: exe, Args: []string{"http-backend"}, Root: "/", Dir: r.Dir,
		Env: append(gitEnv(r.forge.Dir),
			"GIT_PROJECT_ROOT="+filepath.ToSlash(r.Dir), "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER="+login,
			"GIT_COMMITTER_NAME="+login), // the log of a ref tells who moved it
		Stderr: io.Discard, // git tells the client
	}).ServeHTTP(w, in)
}

// receive looks at a push before git does, and reports whether git is to have it.
func (r *Repo) receive(w http.ResponseWriter, req *http.Request, login string) bool {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return false
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	pushes, err := commands(body)
	if err != nil {
		say(w, http.StatusBadRequest, "%v", err)
		return false
	}
	if len(pushes) == 0 {
		return true // git tries whether it may push, before it sends much
	}
	if do := r.next(); do != nil {
		do(req.Context())
	}
	if req.Context().Err() != nil {
		return false
	}
	if rule := r.judge(pushes, login); rule != Free {
		r.refuse(w, pushes)
		return false
	}
	return true
}

// next takes the function that waits for a push; nil: none.
func (r *Repo) next() (do func(context.Context)) {
	r.forge.mu.Lock()
	defer r.forge.mu.Unlock()
	if len(r.atPush) > 0 {
		do, r.atPush = r.atPush[0], r.atPush[1:]
	}
	return do
}

// judge writes pushes down, and says which rule refuses them. One that is refused takes the others with it.
func (r *Repo) judge(pushes []Push, login string) (rule Rule) {
	r.forge.mu.Lock()
	defer r.forge.mu.Unlock()
	for i := range pushes {
		p := &pushes[i]
		p.Login, p.Refused = login, r.rules[strings.TrimPrefix(p.Ref, "refs/heads/")]
		rule = max(rule, p.Refused)
	}
	r.pushes = append(r.pushes, pushes...)
	return rule
}

// commands reads what a push asks for. GitHub does not take signed pushes.
func commands(body []byte) (pushes []Push, err error) {
	for len(body) >= 4 {
		n, err := strconv.ParseUint(string(body[:4]), 16, 16)
		if err != nil || int(n) > len(body) {
			return nil, fmt.Errorf("not a packet: %.40q", body)
		}
		if n == 0 {
			return pushes, nil
		}
		line, _, _ := strings.Cut(string(body[4:n]), "\x00")
		body = body[n:]
		f := strings.Fields(line)
		if f[0] == "shallow" { // the sender's own boundary comes first
			continue
		}
		if len(f) != 3 {
			return nil, fmt.Errorf("not a command: %q", line)
		}
		pushes = append(pushes, Push{Old: f[0], New: f[1], Ref: f[2]})
	}
	return pushes, nil
}

// refuse answers a push as GitHub does.
func (r *Repo) refuse(w http.ResponseWriter, pushes []Push) {
	var text, report strings.Builder
	report.WriteString(packet("unpack ok\n"))
	for _, p := range pushes {
		reason := "pre-receive hook declined"
		switch p.Refused {
		case Protection:
			reason = "protected branch hook declined"
			fmt.Fprintf(&text, "error: GH006: Protected branch update failed for %s.\n\n- Changes must be made through a pull request.\n", p.Ref)
		case Ruleset:
			reason = "push declined due to repository rule violations"
			fmt.Fprintf(&text, "error: GH013: Repository rule violations found for %s.\nReview all repository rules at %s/rules?ref=%s\n\n- Changes must be made through a pull request.\n\n",
				p.Ref, r.URL, url.QueryEscape(p.Ref))
		case Hook:
			fmt.Fprintf(&text, "The company's policy forbids pushes to %s.\n", p.Ref)
		}
		report.WriteString(packet("ng " + p.Ref + " " + reason + "\n"))
	}
	report.WriteString("0000")
	w.Header().Set("Content-Type", "application/x-git-receive-pack-result")
	w.Header().Set("Cache-Control", "no-cache")
	// The second band is for people, the first one for git.
	_, _ = io.WriteString(w, packet("\x02"+text.String())+packet("\x01"+report.String())+"0000")
}

// packet frames a line of git's protocol.
func packet(line string) string { return fmt.Sprintf("%04x%s", len(line)+4, line) }
