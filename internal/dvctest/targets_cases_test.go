//go:build unix

package dvctest

// targetCases name stages, or say otherwise how to run.
func targetCases() []twin {
	more := replace("params.yaml", "lr: 0.1", "lr: 0.15")
	raw := sh("echo 4,40 >> data/raw.csv")
	return []twin{
		{name: "one item", do: more, args: "train@north", runs: "train@north"},
		{name: "a group", do: more, args: "train", runs: "train@*"},
		{name: "a pattern", do: more, args: "--glob train@[ns]*", runs: "train@north train@south"},
		{name: "a stage and what it depends on", do: all(more, raw), args: "evaluate", runs: "prepare train@north train@south evaluate"},
		{name: "two stages", do: raw, args: "page clean", runs: "count page clean"},
		{name: "a stage with nothing to do", do: raw, args: "link", runs: none},
		{name: "a single stage", do: all(more, raw), args: "-s evaluate", runs: "none"},
		{name: "a single stage with something to do", do: raw, args: "-s count", runs: "count"},
		{name: "two single stages", do: raw, args: "-s count page", runs: "count page"},
		{name: "what depends on a stage", do: raw, args: "--downstream count", runs: "count page grid@*-data0 publish"},
		{name: "the pipeline of a stage", do: all(raw, sh("echo more >> src/docs.md")), args: "-p page", runs: ofRaw},
		{name: "a stage by force", do: sh(":"), args: "-f -s page", runs: "page"},
		{name: "a stage and what it depends on by force", do: sh(":"), args: "-f page", runs: "count page", pipe: "page", why: "force is for what is named"},
		{name: "what depends on a stage by force", do: sh(":"), args: "-f --downstream page", runs: "page publish"},
		{name: "all by force", do: sh(":"), args: "-f", runs: "prepare count page images clean train@* region@* grid@* evaluate publish link stamp sealed whole lint"},
		{name: "a frozen stage", do: sh("echo more >> src/docs.md"), args: "docs", runs: none},
		{name: "a frozen stage by force", do: sh(":"), args: "-f -s docs", runs: none},
		{name: "a stage that is not there", do: raw, args: "pages", runs: "error"},
		{name: "an output", do: raw, args: "page.html", runs: "error", pipe: "count page", why: "an output names the stage that makes it"},
		{name: "what is only shown", do: raw, args: "--dry", runs: none},
		{name: "a failure", do: all(within("stages count cmd", "wc -l", "exit 1; wc -l"), raw), args: "page", runs: "count error"},
		{name: "a failure, and the rest goes on", do: all(within("stages count cmd", "wc -l", "exit 1; wc -l"), raw), args: "-k count clean page", runs: "clean count error"},
		{name: "an output that the command does not make", do: within("stages page cmd", "> page.html", "> other.html"), args: "page", runs: "page error"},
	}
}
