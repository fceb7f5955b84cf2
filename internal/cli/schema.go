package cli

import (
	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/pkg/pipe"
)

// schemaCmd makes pipe schema.
func (a *app) schemaCmd() *cobra.Command {
	return command("schema", "Print the JSON Schema of pipe.yaml",
		`Print the JSON Schema of pipe.yaml, by which editors complete keys, explain them and mark
errors while you type. It is also printed with --json, as it is.

In VS Code with the YAML extension, write it to a file and name it in .vscode/settings.json:
    "yaml.schemas": {".vscode/pipe-schema.json": "pipe.yaml"}
or in the first line of pipe.yaml, which every editor with yaml-language-server reads:
    # yaml-language-server: $schema=.vscode/pipe-schema.json

A schema cannot know everything: pipe validate finds the other errors.`,
		"pipe schema > .vscode/pipe-schema.json", noArgs, func(*cobra.Command, []string) error {
			_, err := a.Out.Write(pipe.Schema()) // as it is: for programs
			return err
		})
}
