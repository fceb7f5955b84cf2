package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// versionCmd makes pipe version, which needs no project.
func (a *app) versionCmd() *cobra.Command {
	return command("version", "Print the version", "", "pipe version --json", noArgs, func(*cobra.Command, []string) error {
		v := pipe.Build()
		return a.answer("pipe.version/1", v, func(w io.Writer) {
			commit := ""
			if v.Commit != "" {
				commit = fmt.Sprintf("commit %.12s, ", v.Commit)
			}
			view.Print(w, "pipe %s (%s%s, %s)\n", v.Version, commit, v.Go, v.Platform)
		})
	})
}

// completionCmd makes pipe completion in place of cobra's own, so that an unknown shell is a
// usage error like any other.
func (a *app) completionCmd() *cobra.Command {
	return command("completion bash|zsh|fish|powershell", "Print a completion script for a shell",
		"Print a script that completes commands and flags, and the stages, outputs, remotes\nand environments of a project. Completion never uses the network.",
		"source <(pipe completion bash)", arguments(1, 1, "name a shell"), func(c *cobra.Command, args []string) error {
			root := c.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(a.Out, true)
			case "zsh":
				return root.GenZshCompletion(a.Out)
			case "fish":
				return root.GenFishCompletion(a.Out, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(a.Out)
			}
			return diag.New(diag.Usage, "no completion for shell %q", args[0]).Hinted("pipe completion bash")
		})
}
