package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// sync makes push, pull and checkout, which differ in the verb alone. past is the verb's past
// tense, for the last line.
func (a *app) sync(name, short, long, example string, verb func(*pipe.Project, context.Context, pipe.SyncOptions) (*pipe.SyncResult, error), past string) *cobra.Command {
	return a.waits(command(name+" [STAGE|OUT]...", short, long, example, cobra.ArbitraryArgs, func(c *cobra.Command, args []string) error {
		return a.with(c.Context(), false, func(p *pipe.Project) error {
			r, err := verb(p, c.Context(), pipe.SyncOptions{Targets: args})
			if err != nil {
				return err
			}
			return a.answer("pipe."+name+"/1", r, func(w io.Writer) { printSync(w, r, past) })
		})
	}))
}

// printSync prints the outputs that changed, what another machine decided, and what was moved.
func printSync(w io.Writer, r *pipe.SyncResult, past string) {
	changed := 0
	for _, o := range r.Outs {
		if o.Changed {
			changed++
			_, _ = fmt.Fprintf(w, "%s  %s  %s\n", o.Path, o.Digest.Short(), view.Bytes(o.Size))
		}
	}
	if len(r.Adopted) > 0 {
		_, _ = fmt.Fprintf(w, "adopted: %s (another machine built the same inputs first)\n", strings.Join(r.Adopted, ", "))
	}
	if len(r.Unpushed) > 0 {
		_, _ = fmt.Fprintf(w, "not recorded (push: false): %s\n", strings.Join(r.Unpushed, ", "))
	}
	if r.Objects == 0 && r.Records == 0 && changed == 0 {
		_, _ = fmt.Fprintln(w, "everything is up to date")
		return
	}
	records := ""
	if r.Records > 0 {
		records = ", " + view.Count(r.Records, "record")
	}
	_, _ = fmt.Fprintf(w, "%s: %s, %s%s\n", past, view.Count(r.Objects, "object"), view.Bytes(r.Bytes), records)
}

// pushCmd makes pipe push.
func (a *app) pushCmd() *cobra.Command {
	return a.sync("push", "Upload outputs and records to the remote",
		`Upload the outputs in pipe.lock and their records to the remote. If another machine
recorded the same inputs first, its outputs replace yours in pipe.lock and in the
workspace, and the next pipe repro deploys them.`,
		"pipe push\npipe push build",
		(*pipe.Project).Push, "pushed")
}

// pullCmd makes pipe pull.
func (a *app) pullCmd() *cobra.Command {
	return a.sync("pull", "Download outputs from the remote into the workspace",
		"Download the outputs in pipe.lock that are not in the cache, verify them, and write\nthem to the workspace.",
		"pipe pull\npipe pull dist/app.zip",
		(*pipe.Project).Pull, "pulled")
}

// checkoutCmd makes pipe checkout.
func (a *app) checkoutCmd() *cobra.Command {
	return a.sync("checkout", "Write outputs from the cache to the workspace",
		"Write the outputs in pipe.lock from the cache to the workspace, without the network.",
		"pipe checkout\npipe checkout dist/app.zip",
		(*pipe.Project).Checkout, "fetched")
}
