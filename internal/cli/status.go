package cli

import (
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// statusCmd makes pipe status. Without --exit-code it succeeds whatever it finds, as git
// status does.
func (a *app) statusCmd() *cobra.Command {
	var opt pipe.StatusOptions
	var code bool
	var remote askRemote
	c := command("status [STAGE|OUT]...", "Show which stages and outputs changed",
		"Compare the workspace with pipe.lock and with what is live, without changing\nanything, and name the files that changed in a directory. Only the environment's\nstate is read from the remote; with --remote the remote is also asked whether it\nhas the records and outputs in pipe.lock: what is not there is not pushed.",
		"pipe status\npipe status --remote --exit-code", cobra.ArbitraryArgs, func(c *cobra.Command, args []string) error {
			opt.Targets, opt.Remote = args, remote.asked(a)
			return a.with(c.Context(), func(p *pipe.Project) error {
				s, unread := p.Status(c.Context(), opt)
				if s == nil {
					return unread
				}
				if err := a.answer("pipe.status/1", s, func(w io.Writer) { printStatus(w, s, a.quiet) }); err != nil {
					return err
				}
				if code && unread != nil {
					return unread
				}
				if code && s.Pending {
					return pending("some stages are not up to date")
				}
				if code && len(s.Unpushed) > 0 {
					return pending("the remote lacks what pipe.lock names")
				}
				return nil
			})
		})
	c.Flags().BoolVar(&code, "exit-code", false, "exit with code 3 if a stage would run or be restored, or --remote finds something missing; fail if the environment cannot be read")
	remote.flag(c, "also check that the default remote, or --remote=NAME, has what pipe.lock names")
	return c
}

// printStatus prints the verdicts and then the outputs; quiet leaves out what is as it should
// be.
func printStatus(w io.Writer, s *pipe.Status, quiet bool) {
	printStages(w, s.Stages, quiet)
	for _, o := range s.Outs {
		if o.State == "same" && o.Cache && quiet {
			continue
		}
		where := ""
		if !o.Cache {
			where = ", not in the cache"
		}
		if o.Note != "" {
			where += " (" + o.Note + ")"
		}
		what := "output"
		if o.Input {
			what = "input"
		}
		view.Print(w, "  %s %s  %s  %s%s\n", what, o.Path, o.Hash.Short(), o.State, where)
		printFiles(w, "    ", o.Files)
	}
	printUnpushed(w, s.Unpushed)
	if s.Note != "" {
		view.Print(w, "note: %s\n", s.Note)
	}
}

// printUnpushed names what the remote lacks, and what it would take to push it.
func printUnpushed(w io.Writer, lacks []pipe.Fault) {
	if len(lacks) == 0 {
		return
	}
	records, bytes := 0, int64(0)
	for _, f := range lacks {
		view.Print(w, "  not in the remote: %s of %s\n", f.Path, f.Stage)
		bytes += f.Bytes
		if _, ok := store.RunAt(f.Name); ok {
			records++
		}
	}
	var what []string
	if n := len(lacks) - records; n > 0 {
		what = append(what, view.Count(n, "output"))
	}
	if records > 0 {
		what = append(what, view.Count(records, "record"))
	}
	view.Print(w, "the remote lacks %s, %s; run pipe push\n", strings.Join(what, " and "), view.Bytes(bytes))
}
