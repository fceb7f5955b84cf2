package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/pipe-build/pipe/internal/s3server"
	"github.com/pipe-build/pipe/pkg/digest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"pipe": main})
}

// environment gives a script a git of its own, and a quiet one.
func environment(e *testscript.Env) {
	e.Values[namedKey{}] = &named{webs: map[string]*web{}}
	caches, _ := os.UserCacheDir() // without one, a script that calls the Go command takes longer
	for _, kv := range []string{
		"CACHES=" + caches,
		"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=Test", "GIT_AUTHOR_EMAIL=test@example.invalid",
		"GIT_COMMITTER_NAME=Test", "GIT_COMMITTER_EMAIL=test@example.invalid",
		"USER=test", "LIVE=" + filepath.Join(e.WorkDir, "live"), "NO_COLOR=1",
	} {
		k, v, _ := strings.Cut(kv, "=")
		e.Setenv(k, v)
	}
}

var commands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	// damage FILE flips the last byte of a file, whatever its mode says.
	"damage": func(ts *testscript.TestScript, _ bool, args []string) {
		name := ts.MkAbs(args[0])
		b, err := os.ReadFile(name)
		ts.Check(err)
		b[len(b)-1] ^= 1
		ts.Check(os.Chmod(name, 0o644))
		ts.Check(os.WriteFile(name, b, 0o644))
	},
	// damageall DIR does so to every file below a directory.
	"damageall": func(ts *testscript.TestScript, _ bool, args []string) {
		n := 0
		ts.Check(filepath.Walk(ts.MkAbs(args[0]), func(name string, info os.FileInfo, err error) error {
			if err != nil || !info.Mode().IsRegular() {
				return err
			}
			b, err := os.ReadFile(name)
			if err != nil || len(b) == 0 {
				return err
			}
			n++
			b[len(b)-1] ^= 1
			if err := os.Chmod(name, 0o644); err != nil {
				return err
			}
			return os.WriteFile(name, b, 0o644)
		}))
		if n == 0 {
			ts.Fatalf("nothing to damage below %s", args[0])
		}
	},
	// reseal FILE gives each block of a pipe.lock the sum of its bytes, as one who means harm would.
	"reseal": func(ts *testscript.TestScript, _ bool, args []string) {
		const begin, sum = "  # begin ", "    sum: "
		var out, block strings.Builder
		for line := range strings.Lines(ts.ReadFile(args[0])) {
			switch {
			case strings.HasPrefix(line, begin):
				block.Reset()
			case strings.HasPrefix(line, sum):
				line = sum + digest.Of([]byte(block.String())).Hex()[:16] + "\n"
			default:
				block.WriteString(line)
			}
			out.WriteString(line)
		}
		ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(out.String()), 0o644))
	},
	// setenvfile NAME FILE sets a variable to a file's first word.
	"setenvfile": func(ts *testscript.TestScript, _ bool, args []string) {
		w := strings.Fields(ts.ReadFile(args[1]))
		if len(w) == 0 {
			ts.Fatalf("%s is empty", args[1])
		}
		ts.Setenv(args[0], w[0])
	},
	// setenvcut NAME N sets a variable to its first N characters.
	"setenvcut": func(ts *testscript.TestScript, _ bool, args []string) {
		var n int
		_, err := fmt.Sscan(args[1], &n)
		ts.Check(err)
		ts.Setenv(args[0], ts.Getenv(args[0])[:n])
	},
	// lines FILE N checks how many lines a file has.
	"lines": func(ts *testscript.TestScript, _ bool, args []string) {
		if n := strings.Count(ts.ReadFile(args[0]), "\n"); fmt.Sprint(n) != args[1] {
			ts.Fatalf("%s has %d lines, not %s:\n%s", args[0], n, args[1], ts.ReadFile(args[0]))
		}
	},
	// unruly WORDS... puts a proxy before the S3 server that is as bad as the words say: deaf,
	// lost=0.1, refused=0.05, seed=7, dates=no-date, late=PART:5s; see s3server.Unruly.
	"unruly": unruly,
	// requests METHOD PART N checks how many requests the proxy has seen with PART in path or query.
	"requests": func(ts *testscript.TestScript, _ bool, args []string) {
		p := ts.Value(remoteKey{}).(*s3Remote).proxy
		if n := p.Count(args[0], args[1]); fmt.Sprint(n) != args[2] {
			ts.Fatalf("%d requests, not %s:\n%s", n, args[2], strings.Join(p.Log(), "\n"))
		}
	},
	"serve": serve, "asked": asked, "image": image, "unregister": unregister,
	// code N PROGRAM ARGS... checks an exit code.
	"code": func(ts *testscript.TestScript, _ bool, args []string) {
		err := ts.Exec(args[1], args[2:]...)
		got := 0
		if x, ok := err.(interface{ ExitCode() int }); ok {
			got = x.ExitCode()
		} else {
			ts.Check(err)
		}
		if fmt.Sprint(got) != args[0] {
			ts.Fatalf("exit code %d, not %s", got, args[0])
		}
	},
}

// s3Remote is the S3 server of a script and the proxy before it, if there is one.
type s3Remote struct {
	server *s3server.Server
	proxy  *s3server.Proxy
}

// remoteKey is the key of a script's remote.
type remoteKey struct{}

// unruly is the command of that name.
func unruly(ts *testscript.TestScript, _ bool, args []string) {
	var opt s3server.Unruly
	var late []string
	for _, word := range args {
		var err error
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "deaf":
			opt.Deaf = true
		case "lost":
			_, err = fmt.Sscan(value, &opt.Lost)
		case "refused":
			_, err = fmt.Sscan(value, &opt.Refused)
		case "seed":
			_, err = fmt.Sscan(value, &opt.Seed)
		case "dates":
			opt.Dates = s3server.Dates(value)
		case "late":
			late = append(late, value)
		default:
			ts.Fatalf("what is %s?", word)
		}
		ts.Check(err)
	}
	r := ts.Value(remoteKey{}).(*s3Remote)
	r.proxy = r.server.Proxy(opt)
	ts.Defer(r.proxy.Close)
	ts.Setenv("AWS_ENDPOINT_URL_S3", r.proxy.Endpoint)
	for _, l := range late {
		part, by, _ := strings.Cut(l, ":")
		d, err := time.ParseDuration(by)
		ts.Check(err)
		r.proxy.Late(part, d)
	}
}

// TestScripts runs what needs no remote, or a directory.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", Cmds: commands, RequireUniqueNames: true,
		Setup: func(e *testscript.Env) error {
			environment(e)
			e.Setenv("REMOTE", filepath.Join(e.WorkDir, "remote"))
			return nil
		},
	})
}

// TestScriptsOnADirectory and its twins run the same scripts on each remote.
func TestScriptsOnADirectory(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/both", Cmds: commands, RequireUniqueNames: true,
		Setup: func(e *testscript.Env) error {
			environment(e)
			e.Setenv("REMOTE", filepath.Join(e.WorkDir, "remote"))
			e.Setenv("STORE", filepath.Join(e.WorkDir, "remote"))
			return nil
		},
	})
}

func TestScriptsOnS3(t *testing.T) { onS3(t, s3server.Options{}, "testdata/both") }

// TestScriptsForS3 runs what a directory cannot show.
func TestScriptsForS3(t *testing.T) { onS3(t, s3server.Options{}, "testdata/s3") }

func TestTheRecipeOnS3OverTLS(t *testing.T) {
	dir := t.TempDir()
	b, err := os.ReadFile("testdata/both/recipe.txtar")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "recipe.txtar"), b, 0o644); err != nil {
		t.Fatal(err)
	}
	onS3(t, s3server.Options{TLS: true}, dir)
}

func onS3(t *testing.T, opt s3server.Options, dir string) {
	server := s3server.Start(t, opt)
	testscript.Run(t, testscript.Params{
		Dir: dir, Cmds: commands, RequireUniqueNames: true,
		Setup: func(e *testscript.Env) error {
			environment(e)
			e.Values[remoteKey{}] = &s3Remote{server: server}
			for _, kv := range server.Env() {
				k, v, _ := strings.Cut(kv, "=")
				e.Setenv(k, v)
			}
			prefix := filepath.Base(e.WorkDir)
			e.Setenv("REMOTE", "s3://"+server.Bucket+"/"+prefix)
			e.Setenv("STORE", filepath.Join(server.Dir, server.Bucket, prefix))
			// The same server under an address that is no loopback, as far as it says.
			e.Setenv("STRANGER", strings.Replace(server.Endpoint, "127.0.0.1", "0.0.0.0", 1))
			return nil
		},
	})
}
