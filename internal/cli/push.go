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

// sync makes push, pull and checkout, which differ in the verb alone.
func (a *app) sync(name, short, long string, verb func(*pipe.Project, context.Context, pipe.SyncOptions) (*pipe.SyncResult, error), past string) *cobra.Command {
	return command(name+" [STAGE|OUT]...", short, long, cobra.ArbitraryArgs, func(c *cobra.Command, args []string) error {
		return a.with(c.Context(), false, func(p *pipe.Project) error {
			r, err := verb(p, c.Context(), pipe.SyncOptions{Targets: args})
			if err != nil {
				return err
			}
			return a.answer("pipe."+name+"/1", r, func(w io.Writer) { printSync(w, r, past) })
		})
	})
}

func printSync(w io.Writer, r *pipe.SyncResult, past string) {
	changed := 0
	for _, o := range r.Outs {
		if o.Changed {
			changed++
			_, _ = fmt.Fprintf(w, "%s  %s  %s\n", o.Path, o.Digest.Short(), view.Bytes(o.Size))
		}
	}
	if len(r.Adopted) > 0 {
		_, _ = fmt.Fprintf(w, "adopted: %s (built first by another machine)\n", strings.Join(r.Adopted, ", "))
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

func (a *app) pushCmd() *cobra.Command {
	return a.sync("push", "put outs and records into the remote",
		`Puts what pipe.lock names into the remote: objects, then the records that name
them. When another machine recorded the same inputs first, its outs are taken:
pipe.lock and the workspace change, and the next repro deploys them.`,
		(*pipe.Project).Push, "pushed")
}

func (a *app) pullCmd() *cobra.Command {
	return a.sync("pull", "bring outs from the remote into the workspace",
		"Fetches what pipe.lock names and the cache lacks, verifies it, and writes the outs.",
		(*pipe.Project).Pull, "pulled")
}

func (a *app) checkoutCmd() *cobra.Command {
	return a.sync("checkout", "write outs from the cache into the workspace",
		"Writes what pipe.lock names from the cache, without the network.",
		(*pipe.Project).Checkout, "fetched")
}
