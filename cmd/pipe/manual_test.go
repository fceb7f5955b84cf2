package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/cli"
)

var update = flag.Bool("update", false, "write the manual and the pages anew")

// TestTheManualIsWhatHelpPrints: go test ./cmd/pipe -run Manual -update
func TestTheManualIsWhatHelpPrints(t *testing.T) {
	var b bytes.Buffer
	b.WriteString("# The manual\n\nGenerated from the output of `--help` of each command; do not edit it.\n")
	for _, name := range []string{
		"init", "init hooks", "init ci", "repro", "plan", "deploy", "promote", "rollback", "approve", "reject", "why", "status", "push", "pull", "fetch", "checkout", "get", "add", "unadd", "update", "freeze", "unfreeze", "log", "show", "find", "env", "env list", "env show", "env history", "env drift", "env unlock", "env destroy", "env forget", "hold", "resume", "diff", "metrics", "metrics show", "metrics diff", "export", "export dvc", "dag", "hash", "verify", "gc", "fmt", "validate", "schema", "stage", "stage list", "stage add",
		"lock", "lock commit", "remote", "remote add", "remote list", "remote remove", "remote rename", "remote default", "remote trust", "remote probe", "remote forget", "doctor", "version", "completion",
	} {
		var out, errs bytes.Buffer
		args := append(strings.Fields(name), "--help")
		if code := cli.Run(t.Context(), cli.World{Args: args, In: strings.NewReader(""), Out: &out, Err: &errs}); code != 0 || errs.Len() > 0 {
			t.Fatalf("pipe %s --help: exit %d: %s", name, code, errs.String())
		}
		fmt.Fprintf(&b, "\n## pipe %s\n\n```\n%s```\n", name, out.String())
	}
	if *update {
		if err := os.WriteFile("manual.md", b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile("manual.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(kept, b.Bytes()) {
		t.Error("manual.md is not what --help prints: go test ./cmd/pipe -run Manual -update")
	}
}
