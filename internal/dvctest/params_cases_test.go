//go:build unix

package dvctest

// paramCases change params and vars.
func paramCases() []twin {
	return []twin{
		{name: "a param changes, and with it the models", do: replace("params.yaml", "lr: 0.1", "lr: 0.2"), runs: "train@* evaluate"},
		{name: "a param changes, and with it the metrics", do: replace("params.yaml", "lr: 0.1", "lr: 0.15"), runs: "train@* evaluate publish"},
		{name: "a param changes that the command does not show", do: replace("params.yaml", "depth: 3", "depth: 4"), runs: "train@*"},
		{name: "a number becomes text", do: replace("params.yaml", "depth: 3", `depth: "3"`), runs: "train@*"},
		{name: "a number is written in another way", do: replace("params.yaml", "depth: 3", "depth: 3.0"), runs: none, pipe: "train@*", why: "values count as they are written: a program may print 3 and 3.0 differently"},
		{name: "a param that no stage names changes", do: replace("params.yaml", "unused: 1", "unused: 2"), runs: none},
		{name: "a param beside the named one changes", do: replace("params.yaml", "forest", "tree"), runs: none},
		{name: "a named map gets another key", do: replace("params.yaml", "  epochs: 3", "  epochs: 3\n  batch: 32"), runs: "train@*"},
		{name: "a named map loses a key", first: replace("params.yaml", "  epochs: 3", "  epochs: 3\n  batch: 32"), do: sh("sed -i.bak /batch/d params.yaml; rm params.yaml.bak"), runs: none},
		{name: "the keys of a named map change their order", do: sh(`printf 'model: {name: forest, depth: 3}\ntrain: {epochs: 3, lr: 0.1}\nunused: 1\n' > params.yaml`), runs: none},
		{name: "a comment is added to params.yaml", do: sh("echo '# a comment' >> params.yaml"), runs: none},
		{name: "params.yaml gets other line endings", do: sh(`sed -i.bak 's/$/\r/' params.yaml; rm params.yaml.bak`), runs: none},
		{name: "a named key is missing", do: sh("sed -i.bak /depth/d params.yaml; rm params.yaml.bak"), args: "train", runs: "error"},
		{name: "a key that a template names is missing", do: sh("sed -i.bak /lr/d params.yaml; rm params.yaml.bak"), args: "train", runs: "error"},
		{name: "params.yaml is missing", do: sh("rm params.yaml"), args: "train", runs: "error"},
		{name: "a nested param of a JSON file changes", do: replace("conf/split.json", "0.2", "0.25"), runs: "prepare evaluate"},
		{name: "a JSON file is written in another way", do: sh(`printf '{"seed":7,\n"split":{"ratio":0.2}}' > conf/split.json`), runs: none},
		{name: "another param of a JSON file changes", do: replace("conf/split.json", "none", "some"), runs: none},
		{name: "a named key of a JSON file is missing", do: replace("conf/split.json", `"seed": 7,`, ""), args: "prepare", runs: "error"},
		{name: "a JSON file with params is missing", do: sh("rm conf/split.json"), args: "prepare", runs: "error"},
		{name: "a param below wdir changes", do: replace("work/local.yaml", "5", "6"), runs: "clean"},
		{name: "a file that is named as a whole changes", do: replace("conf/whole.yaml", "a: 1", "a: 2"), runs: "whole"},
		{name: "a file that is named as a whole gets a key", do: sh("echo 'c: 1' >> conf/whole.yaml"), runs: "whole"},
		{name: "a file that is named as a whole gets a comment", do: sh("echo '# a comment' >> conf/whole.yaml"), runs: none},
		{name: "a param of a TOML file changes", do: replace("conf/tool.toml", "title = 'One'", "title = 'Two'"), runs: "sealed"},
		{name: "another param of a TOML file changes", do: replace("conf/tool.toml", "size = 1", "size = 2"), runs: none},
		{name: "a param changes and changes back", first: replace("params.yaml", "lr: 0.1", "lr: 0.15"), do: replace("params.yaml", "lr: 0.15", "lr: 0.1"), runs: "evaluate"},
		{name: "an inline var changes", do: set("vars app app", "store"), runs: "prepare evaluate"},
		{name: "a var of a file changes", do: replace("conf/extra.yaml", "high", "low"), runs: "region@*"},
		{name: "a key of a file of vars that is not taken changes", do: replace("conf/regions.yaml", "other: 1", "other: 2"), runs: none},
		{name: "a var that nothing uses is added", do: push("vars", "{fresh: 1}"), runs: none},
		{name: "a var moves from the file into dvc.yaml", do: all(sh(": > conf/extra.yaml"), push("vars", "{level: high}")), runs: none},
		{name: "a var is missing", do: sh(": > conf/extra.yaml"), args: "region", runs: "error"},
	}
}
