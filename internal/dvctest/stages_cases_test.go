//go:build unix

package dvctest

// stageCases change stages that are written one by one.
func stageCases() []twin {
	const forgets = "DVC compares what the stage names now, and forgets what it has read before"
	const page = "stages page cmd"
	return []twin{
		{name: "a command changes", do: within(page, "echo rows", "echo lines"), runs: "page publish"},
		{name: "a command changes in blanks", do: within(page, "echo rows", "echo  rows"), runs: "page"},
		{name: "a command becomes a list", do: set(page, "['echo page >> ../trace', '{ echo rows; cat data/count.txt; } > page.html']"), runs: "page"},
		{name: "a list of commands gets an item", do: push("stages clean cmd", "'true'"), runs: "clean"},
		{name: "a list of commands gets another order", do: set("stages clean cmd", "['echo clean >> ../../trace', 'echo done >> history.log', 'sort ../data/raw.csv > sorted.csv']"), runs: "clean"},
		{name: "a comment is added to the file of the stages", do: sh("{ echo '# first'; cat $FILE; echo '# last'; } > new; mv new $FILE"), runs: none},
		{name: "the description changes", do: set("stages prepare desc", "Other words"), runs: none},
		{name: "meta data is added", do: set("stages page meta", "{owner: web}"), runs: none},
		{name: "a dependency is added", do: push("stages page deps", "src/docs.md"), runs: "page"},
		{name: "a dependency is removed", do: unset("stages evaluate deps models/south.bin"), runs: none, pipe: "evaluate", why: forgets},
		{name: "a dependency gets another name", do: all(sh("mv work/rules.txt work/laws.txt"), set("stages clean deps rules.txt", "laws.txt")), runs: "clean"},
		{name: "dependencies change their order", do: set("stages publish deps", "[page.html, loss.csv, metrics.json]"), runs: none},
		{name: "a dependency is written in another way", do: set("stages page deps", "[./data/../data/count.txt]"), runs: "page", pipe: none, why: "it is the same path"},
		{name: "the keys of a stage change their order", do: all(unset("stages page deps"), set("stages page deps", "[data/count.txt]")), runs: none},
		{name: "stages change their order", do: all(unset("stages count"), set("stages count", "{cmd: \"echo count >> ../trace; wc -l < data/raw.csv | tr -d ' ' > data/count.txt\", deps: [data/raw.csv], outs: [data/count.txt]}")), runs: none},
		{name: "a param is added", do: set("stages page params", "[unused]"), runs: "page"},
		{name: "a param is removed", do: unset("stages prepare params conf/split.json conf/split.json seed"), runs: none, pipe: "prepare", why: forgets},
		{name: "an output is added", do: all(within(page, "> page.html", "> page.html; echo > extra.txt"), push("stages page outs", "extra.txt")), runs: "page"},
		{name: "an output gets another name", do: all(within(page, "> page.html", "> index.html"), set("stages page outs page.html", "index.html"), set("stages publish deps page.html", "index.html")), args: "page", runs: "page"},
		{name: "an output is made persistent", do: set("stages page outs page.html", "{page.html: {persist: true}}"), runs: none},
		{name: "an output is kept out of the cache", do: set("stages page outs page.html", "{page.html: {cache: false}}"), runs: none, pipe: "page", why: "what is kept of a build is part of its record"},
		{name: "an output is not pushed any more", do: set("stages page outs page.html", "{page.html: {push: false}}"), runs: none},
		{name: "wdir changes with the files", do: all(sh("mv work job"), set("stages clean wdir", "job")), runs: none, pipe: "clean", why: "a command that runs elsewhere may do something else"},
		{name: "a stage gets a wdir, and its paths say the same", do: all(set("stages images", "{cmd: 'echo images >> ../../trace; find images -type f | sort > images.txt', wdir: data, deps: [images], outs: [images.txt]}")), runs: "images"},
		{name: "a dependency of a frozen stage changes", do: sh("echo more >> src/docs.md"), runs: "lint"},
		{name: "a stage is frozen, and its dependency changes", do: all(set("stages count frozen", "true"), sh("echo 4,40 >> data/raw.csv")), runs: "prepare clean grid@*-data1 evaluate"},
		{name: "a stage is no longer frozen", do: unset("stages docs frozen"), runs: none},
		{name: "a stage is no longer frozen, and its dependency changes", do: all(unset("stages docs frozen"), sh("echo more >> src/docs.md")), runs: "docs link lint"},
		{name: "the command of a frozen stage changes", do: within("stages docs cmd", "cat src/docs.md", "cat -u src/docs.md"), runs: none},
		{name: "a stage is told to run always", do: set("stages page always_changed", "true"), runs: "page", again: "page stamp"},
		{name: "a stage need not run always", do: unset("stages stamp always_changed"), runs: none, again: none},
		{name: "a stage gets another name", do: rename("stages page", "site"), runs: none},
		{name: "a stage is removed", do: unset("stages page"), runs: none},
		{name: "a stage is added", do: set("stages fresh", "{cmd: 'echo fresh >> ../trace; cp page.html fresh.html', deps: [page.html], outs: [fresh.html]}"), runs: "fresh"},
		{name: "a stage is added between two", do: all(set("stages fresh", "{cmd: 'echo fresh >> ../trace; echo more | cat page.html - > fresh.html', deps: [page.html], outs: [fresh.html]}"), set("stages publish deps page.html", "fresh.html")), runs: "fresh publish"},
		{name: "a stage without dependencies is added", do: set("stages fresh", "{cmd: 'echo fresh >> ../trace; echo 1 > fresh.txt', outs: [fresh.txt]}"), runs: "fresh"},
		{name: "a command changes and changes back", first: within(page, "echo rows", "echo lines"), do: within(page, "echo lines", "echo rows"), runs: none},
		{name: "two stages and a file change", do: all(within(page, "echo rows", "echo lines"), within("stages images cmd", "sort", "sort -r"), sh("echo more >> work/rules.txt")), runs: "page publish images clean"},
	}
}
