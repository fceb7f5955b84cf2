package cli

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// sync makes push, pull, fetch and checkout, which differ in the verb alone. past is the verb's past
// tense, for the last line.
func (a *app) sync(name, short, long, example string, opt *pipe.SyncOptions, verb func(*pipe.Project, context.Context, pipe.SyncOptions) (*pipe.SyncResult, error), past string) *cobra.Command {
	return a.waits(command(name+" [STAGE|PATH]...", short, long, example, cobra.ArbitraryArgs, func(c *cobra.Command, args []string) error {
		return a.with(c.Context(), func(p *pipe.Project) error {
			if opt.Read && !opt.Repair {
				return diag.New(diag.Usage, "--read needs --repair").Hinted("pipe push --repair --read")
			}
			opt.Targets = args
			r, err := verb(p, c.Context(), *opt)
			if err != nil && (r == nil || len(r.Lost) == 0) {
				return err
			}
			// What came is said before what could not.
			return errors.Join(err, a.answer("pipe."+name+"/1", r, func(w io.Writer) { a.printSync(w, r, past) }))
		})
	}))
}

// revs adds the flags that choose other commits.
func revs(c *cobra.Command, opt *pipe.SyncOptions) *cobra.Command {
	c.Flags().BoolVar(&opt.AllBranches, "all-branches", false, "what pipe.lock names on every branch, git's remotes included")
	c.Flags().BoolVar(&opt.AllTags, "all-tags", false, "what pipe.lock names at every tag")
	c.Flags().StringArrayVar(&opt.Revs, "rev", nil, "what pipe.lock names at this revision (repeatable)")
	return c
}

// printSync prints the outputs that changed, what another machine decided, and what was moved;
// past is the verb for that, "" for one that moves nothing between stores.
func (a *app) printSync(w io.Writer, r *pipe.SyncResult, past string) {
	changed := 0
	for _, o := range r.Outs {
		if o.Changed {
			changed++
			view.Print(w, "%s  %s  %s\n", o.Path, o.Digest.Short(), view.Bytes(o.Size))
		}
	}
	if len(r.Adopted) > 0 {
		view.Print(w, "adopted: %s (another machine built the same inputs first)\n", strings.Join(r.Adopted, ", "))
	}
	if len(r.Unpushed) > 0 {
		view.Print(w, "not recorded (push: false): %s\n", strings.Join(r.Unpushed, ", "))
	}
	if r.Objects+r.Records+changed+len(r.Lost) == 0 {
		if !a.quiet {
			view.Print(w, "everything is up to date\n")
		}
		return
	}
	if past == "" {
		return
	}
	records := ""
	if r.Records > 0 {
		records = ", " + view.Count(r.Records, "record")
	}
	view.Print(w, "%s: %s, %s%s\n", past, view.Count(r.Objects, "object"), view.Bytes(r.Bytes), records)
}

// pushCmd makes pipe push.
func (a *app) pushCmd() *cobra.Command {
	var opt pipe.SyncOptions
	c := a.sync("push", "Upload outputs and records to the remote",
		`Upload the outputs in pipe.lock and their records to the remote. If another machine
recorded the same inputs first, its outputs replace yours in pipe.lock and in the
workspace, and the next pipe repro deploys them.

Push asks the remote for each record and output, and assumes that a directory that
exists there is complete. --repair checks everything that pipe verify --remote checks, and replaces what
is missing or damaged by the copies in the cache or the workspace; with --read it finds
what pipe verify --remote --read finds.

With --all-branches, --all-tags or --rev, push uploads what the pipe.lock of these
commits names, from the cache, and leaves the workspace and its pipe.lock as they are.`,
		"pipe push\npipe push build\npipe push --all-tags\npipe push --repair",
		&opt, (*pipe.Project).Push, "pushed")
	c.Flags().BoolVar(&opt.Repair, "repair", false, "replace what is missing or damaged in the remote")
	c.Flags().BoolVar(&opt.Read, "read", false, "with --repair: download every object and check its hash")
	return revs(c, &opt)
}

// pullCmd makes pipe pull.
func (a *app) pullCmd() *cobra.Command {
	var opt pipe.SyncOptions
	return revs(a.sync("pull", "Download outputs from the remote into the workspace",
		`Download the outputs in pipe.lock that are not in the cache, verify them, and write
them to the workspace. Files that are already right are not touched.

A path inside a directory output is brought without the rest of the directory. Such a
part is never taken for the output: pipe status says that the output differs, and pipe
repro and pipe pull complete it.

An output whose bytes are missing or damaged is left as it is; the others are written,
and the exit code is 8 or 7.

With --all-branches, --all-tags or --rev, what the pipe.lock of these commits names goes
into the cache, too.`,
		"pipe pull\npipe pull dist/app.zip\npipe pull data/images/cat.png",
		&opt, (*pipe.Project).Pull, "pulled"), &opt)
}

// fetchCmd makes pipe fetch.
func (a *app) fetchCmd() *cobra.Command {
	var opt pipe.SyncOptions
	return revs(a.sync("fetch", "Download outputs from the remote into the cache",
		`Download the outputs in pipe.lock that are not in the cache, and verify them. The
workspace stays as it is; pipe checkout writes the outputs without the network.

With --all-branches, --all-tags or --rev, fetch what the pipe.lock of these commits names
instead.`,
		"pipe fetch\npipe fetch build\npipe fetch --rev v1.2 --rev main",
		&opt, (*pipe.Project).Fetch, "fetched"), &opt)
}

// checkoutCmd makes pipe checkout.
func (a *app) checkoutCmd() *cobra.Command {
	return a.sync("checkout", "Write outputs from the cache to the workspace",
		"Write the outputs in pipe.lock from the cache to the workspace, without the network.\nFiles that are already right are not touched.",
		"pipe checkout\npipe checkout dist/app.zip\npipe checkout data/images/cat.png",
		&pipe.SyncOptions{}, (*pipe.Project).Checkout, "")
}
