package cli

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// askRemote is a --remote that need not name one. It asks the remote beside all else.
type askRemote string

// defaultRemote is what --remote means without a name. No remote can have this name, since
// it has spaces.
const defaultRemote = "the default remote"

// flag declares it.
func (r *askRemote) flag(c *cobra.Command, usage string) {
	c.Flags().StringVar((*string)(r), "remote", "", usage)
	c.Flags().Lookup("remote").NoOptDefVal = defaultRemote
}

// asked reports whether the flag was given. A name chooses the remote, too, as -r does.
func (r *askRemote) asked(a *app) bool {
	if *r != "" && *r != defaultRemote {
		a.remote = string(*r)
	}
	return *r != ""
}

// verifyCmd makes pipe verify. What is wrong is printed before the error that counts it.
func (a *app) verifyCmd() *cobra.Command {
	var opt pipe.VerifyOptions
	var remote askRemote
	c := command("verify", "Check every object and record in the cache, or what pipe.lock needs in a remote",
		`Read every object in the cache and check its hash, and read every record. Damaged ones
are moved aside, so that good copies can be fetched.

With --remote, check that the remote has everything that pipe.lock names: the record of
each stage, its outputs, every file in them, its log and its lists of inputs. Files are
checked by their size, with one request each; records, directories, logs and lists are
read. --read downloads the files as well and checks their hashes. --all also lists the
remote and checks everything that is there, whichever project or commit it belongs to.

pipe push --repair replaces what is missing or damaged in a remote.

Exit code 7 means that something is missing or damaged.`,
		"pipe verify\npipe verify --remote\npipe verify --remote=main --read", noArgs, func(c *cobra.Command, _ []string) error {
			opt.Remote = remote.asked(a)
			if (opt.Read || opt.All) && !opt.Remote {
				return diag.New(diag.Usage, "--read and --all need --remote: pipe verify reads all of the cache").Hinted("pipe verify --remote --read")
			}
			return a.with(c.Context(), func(p *pipe.Project) error {
				v, err := p.Verify(c.Context(), opt)
				// Without an answer nothing was checked.
				if v == nil {
					return err
				}
				aerr := a.answer("pipe.verify/1", v, func(w io.Writer) { printVerified(w, v, !opt.Remote || opt.Read) })
				if err != nil {
					return err
				}
				return aerr
			})
		})
	remote.flag(c, "check the default remote, or --remote=NAME, instead of the cache")
	c.Flags().BoolVar(&opt.Read, "read", false, "with --remote: download every object and check its hash")
	c.Flags().BoolVar(&opt.All, "all", false, "with --remote: check everything in the remote")
	return a.waits(c)
}

func printVerified(w io.Writer, v *pipe.Verified, read bool) {
	for _, f := range v.Damaged {
		printFault(w, "damaged", v.At(f), f)
	}
	for _, f := range v.Missing {
		printFault(w, "missing", v.At(f), f)
	}
	done := "checked"
	if read {
		done = "read"
	}
	view.Print(w, "%s: %s and %s %s, %s, %d damaged", v.Store, view.Count(v.Objects, "object"), view.Count(v.Records, "record"), done,
		view.Bytes(v.Bytes), len(v.Damaged))
	if n := len(v.Missing); n > 0 {
		view.Print(w, ", %d missing", n)
	}
	view.Print(w, "\n")
}

// printFault prints where something is wrong, and who needs it.
func printFault(w io.Writer, what, at string, f pipe.Fault) {
	view.Print(w, "%s  %s", what, at)
	if f.Stage != "" {
		view.Print(w, "  %s:", f.Stage)
	}
	if f.Path != "" {
		view.Print(w, " %s", f.Path)
	}
	view.Print(w, "\n")
}
