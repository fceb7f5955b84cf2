package gitlog

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pipe-build/pipe/internal/diag"
)

// Bare is a bare repository of pipe's own, which keeps what was fetched from another one. Its
// configuration is pipe's and the user's: nothing that a fetched repository holds is run, neither
// hooks nor filters, and no transport that runs a command is taken. One process at a time fetches.
type Bare struct {
	repo   Repo // for the program and its environment alone
	dir    string
	prompt bool
}

// BareOptions say what a Bare takes from outside.
type BareOptions struct {
	Env    []string // in the form of os.Environ
	Prompt bool     // git may ask for a password on the terminal
}

// OpenBare names the repository that lies, or will lie, in a directory.
func OpenBare(dir string, opt BareOptions) *Bare {
	return &Bare{repo: Repo{env: opt.Env, root: dir}, dir: dir, prompt: opt.Prompt}
}

// Name returns the name of the repository's directory.
func (b *Bare) Name() string { return filepath.Base(b.dir) }

// command is a call of git on the repository, from another directory: the program's own lookups
// must not end in the user's repository around it.
func (b *Bare) command(ctx context.Context, args ...string) (*exec.Cmd, error) {
	bin, err := b.repo.program("git")
	if err != nil {
		return nil, err
	}
	settings := []string{
		"-c", "core.hooksPath=" + os.DevNull, "-c", "core.fsync=all", "-c", "core.fsmonitor=false", "-c", "protocol.ext.allow=never", "-c", "protocol.fd.allow=never",
		"-c", "fetch.unpackLimit=1", "-c", "fetch.negotiationAlgorithm=consecutive",
	}
	cmd := exec.CommandContext(ctx, bin, slices.Concat(settings, transferSettings(), args)...)
	cmd.WaitDelay = 5 * time.Second // ssh may outlive a git that was killed, and hold its pipes
	cmd.Env = append(b.repo.unbound(), "GIT_DIR="+b.dir)
	if !b.prompt {
		alone(cmd) // no ssh outlives it, or asks at the terminal
		cmd.Env = append(cmd.Env, "GIT_TERMINAL_PROMPT=0")
	}
	return cmd, nil
}

func (b *Bare) git(ctx context.Context, in io.Reader, args ...string) ([]byte, error) {
	cmd, err := b.command(ctx, args...)
	if err != nil {
		return nil, err
	}
	cmd.Stdin = in
	out, err := output(cmd)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return out, err
}

// Init makes the repository, for commits whose hashes have so many digits.
func (b *Bare) Init(ctx context.Context, digits int) error {
	format := "sha1"
	if digits == 64 {
		format = "sha256"
	}
	_, err := b.git(ctx, nil, "init", "--quiet", "--bare", "--template=", "--object-format="+format, b.dir)
	return err
}

// Tidy removes what a git that was killed has left behind, and fails when there is no repository:
// the caller sees to it that no other git works here.
func (b *Bare) Tidy(ctx context.Context) error {
	for _, pattern := range []string{"*.lock", "refs/pipe/*.lock", "objects/pack/tmp_*", "objects/pack/.tmp-*"} {
		left, err := filepath.Glob(filepath.Join(escapeGlob(b.dir), pattern))
		if err != nil {
			return err
		}
		for _, name := range left {
			if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	_, err := b.git(ctx, nil, "rev-parse", "--git-dir")
	return err
}

// escapeGlob takes the meaning from what filepath.Match knows as a pattern.
func escapeGlob(name string) string {
	if os.PathSeparator == '\\' {
		return name // Windows has no escape; its paths of projects have no stars
	}
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(name)
}

// kept is the reference that says that a commit is here with all its files.
func kept(commit string) string { return "refs/pipe/" + commit }

// Has reports whether a commit is here with all its files.
func (b *Bare) Has(ctx context.Context, commit string) bool {
	if !exists(filepath.Join(b.dir, "HEAD")) {
		return false
	}
	_, err := b.git(ctx, nil, "rev-parse", "--quiet", "--verify", "--end-of-options", kept(commit)+"^{commit}")
	return err == nil
}

// Fetch brings a commit with all its files. Servers that give out only what a branch or tag names
// are asked for all of them. It fails with diag.NotFound when the commit is in none.
func (b *Bare) Fetch(ctx context.Context, url, commit string) error {
	_, first := b.fetch(ctx, "--depth=1", url, "+"+commit+":"+kept(commit))
	if first == nil || ctx.Err() != nil {
		return first
	}
	if _, err := b.Tips(ctx, url); err != nil {
		return err // the server cannot be asked at all
	}
	depth := "--depth=2147483647" // as --unshallow, which a whole repository refuses
	if _, err := b.fetch(ctx, depth, url, "+refs/heads/*:refs/all/heads/*", "+refs/tags/*:refs/all/tags/*"); err != nil {
		return unreachable(url, err)
	}
	if b.keep(ctx, commit) != nil {
		return diag.New(diag.NotFound, "commit %s is no longer there (was its branch rewritten?): %s", short(commit), fatal(first)).At(Plain(url))
	}
	return nil
}

// keep names a commit that is here.
func (b *Bare) keep(ctx context.Context, commit string) error {
	_, err := b.git(ctx, nil, "update-ref", kept(commit), commit)
	if err == nil {
		_, err = b.git(ctx, nil, "rev-list", "--objects", "--quiet", "--max-count=1", commit)
	}
	return err
}

func (b *Bare) fetch(ctx context.Context, depth, url string, specs ...string) ([]byte, error) {
	args := []string{"fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--update-shallow", depth, "--", url}
	return b.git(ctx, nil, append(args, specs...)...)
}

// unreachable is the error of a repository that could not be asked.
func unreachable(url string, err error) error {
	if !failed(err) {
		return err
	}
	return diag.New(diag.Network, "git: %s", fatal(err)).At(Plain(url)).Hinted("git ls-remote %s", Plain(url))
}

// Tips returns the branches and tags of another repository, and HEAD, by their full names. A tag
// stands for the commit that it names.
func (b *Bare) Tips(ctx context.Context, url string) (map[string]string, error) {
	cmd, err := b.command(ctx, "ls-remote", "--quiet", "--", url)
	if err != nil {
		return nil, err
	}
	// Outside of any repository: one with hashes of the other kind would refuse the answer.
	cmd.Env = append(cmd.Env, "GIT_DIR="+filepath.Join(b.dir, "none"))
	out, err := output(cmd)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, unreachable(url, err)
	}
	tips := map[string]string{}
	for line := range strings.Lines(string(out)) {
		hash, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if !ok || !isHash(hash) {
			continue
		}
		tips[strings.TrimSuffix(name, "^{}")] = hash // the peeled one comes behind the tag
	}
	return tips, nil
}

// Plain returns a URL without the password or token in it.
func Plain(url string) string {
	scheme, rest, ok := strings.Cut(url, "://")
	host, path, _ := strings.Cut(rest, "/")
	at := strings.LastIndexByte(host, '@')
	if !ok || at < 0 {
		return url
	}
	if path != "" {
		path = "/" + path
	}
	return scheme + "://" + host[at+1:] + path
}

// File is a file of a commit, or whatever else stands in its tree.
type File struct {
	Mode string // as in git's trees: 100644, 100755, 120000 of a symlink, 160000 of a submodule
	Path string // with slashes, as it is in the tree: nobody has looked at it
	Hash string // of the blob
}

// Files returns all files of a commit that Has is true for, sorted by git.
func (b *Bare) Files(ctx context.Context, commit string) ([]File, error) {
	out, err := b.git(ctx, nil, "ls-tree", "-r", "-z", "--full-tree", kept(commit))
	if err != nil {
		return nil, err
	}
	var files []File
	for line := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		info, path, ok := strings.Cut(line, "\t")
		if f := strings.Fields(info); ok && len(f) == 3 {
			files = append(files, File{Mode: f[0], Path: path, Hash: f[2]})
		}
	}
	return files, nil
}

// Blobs calls f with the bytes of each blob, in their order, by one call of git.
func (b *Bare) Blobs(ctx context.Context, files []File, f func(file File, size int64, r io.Reader) error) (err error) {
	if len(files) == 0 {
		return nil
	}
	var in bytes.Buffer
	for _, file := range files {
		in.WriteString(file.Hash + "\n")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd, err := b.command(ctx, "cat-file", "--batch", "--buffer")
	if err != nil {
		return err
	}
	cmd.Stdin = &in
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() {
		cancel() // who has failed reads no further
		_ = cmd.Wait()
	}()
	out := bufio.NewReaderSize(pipe, 256<<10)
	for _, file := range files {
		head, err := out.ReadString('\n')
		h := strings.Fields(head) // hash, type, size
		if err != nil || len(h) != 3 || h[0] != file.Hash || h[1] != "blob" {
			return fmt.Errorf("%w: %s of %s: %q", ErrNoBlob, short(file.Hash), file.Path, strings.TrimSpace(head))
		}
		size, err := strconv.ParseInt(h[2], 10, 64)
		if err != nil {
			return err
		}
		body := io.LimitReader(out, size)
		if err := f(file, size, body); err != nil {
			return err
		}
		// What f has left, and the newline behind it.
		if _, err := io.Copy(io.Discard, body); err != nil {
			return err
		}
		if _, err := out.Discard(1); err != nil {
			return err
		}
	}
	return nil
}

// ErrNoBlob says that the repository does not have what it should.
var ErrNoBlob = errors.New("git cannot read a file of the commit")
