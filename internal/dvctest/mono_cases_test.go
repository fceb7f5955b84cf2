//go:build unix

package dvctest

// monoCases change a project of several dvc.yaml. Its stages say their names without their directories.
func monoCases() []twin {
	return []twin{
		{name: "nothing changes", do: sh(":"), args: "-P", runs: none},
		{name: "what all depends on changes", do: sh("echo 1.1 > VERSION"), args: "-P", runs: "version lib build test@* bundle"},
		{name: "a dependency of a directory changes", do: sh("echo more >> lib/part.txt"), args: "-P", runs: "lib build test@* bundle"},
		{name: "a file with a blank in its name changes", do: sh("echo more >> 'services/web/odd names/in put.txt'"), args: "-P", runs: "web load bundle"},
		{name: "the file of an item changes", do: sh("echo more >> services/web/about.txt"), args: "-P", runs: "pages@about"},
		{name: "an item has another file", do: set("services/web/ stages pages foreach about file", "home page.txt"), args: "-P", runs: "pages@about"},
		{name: "a param of a directory changes", do: replace("lib/params.yaml", "size: 3", "size: 4"), args: "-P", runs: none, pipe: "lib", why: "DVC's run cache leaves out every key that is called size, a param's too: it restores what an older value has made"},
		{name: "a nested param of a directory changes", do: replace("lib/settings.yaml", "fast: true", "fast: false"), args: "-P", runs: "lib"},
		{name: "a param beside it changes", do: replace("lib/settings.yaml", "slow: false", "slow: true"), args: "-P", runs: none},
		{name: "a param that is nothing gets a value", do: replace("lib/settings.yaml", "free: ~", "free: 1"), args: "-P", runs: none},
		{name: "an item of a list of a param changes", do: replace("lib/settings.yaml", "b c", "b d"), args: "-P", runs: "lib"},
		{name: "a list of a param is written in another way", do: replace("lib/settings.yaml", "names: [a, b c]", "names:\n- a\n- 'b c'"), args: "-P", runs: none},
		{name: "a list of a param changes its order", do: replace("lib/settings.yaml", "[a, b c]", "[b c, a]"), args: "-P", runs: "lib"},
		{name: "a param that is also in a command changes", do: replace("services/api/params.yaml", "8080", "8081"), args: "-P", runs: "build test@*"},
		{name: "a map of flags changes", do: set("services/api/ vars flags flags slow", "true"), args: "-P", runs: "build bundle"},
		{name: "a list in a map of flags gets an item", do: push("services/api/ vars flags flags list", "z"), args: "-P", runs: "build bundle"},
		{name: "a composite value changes", do: replace("services/api/$FILE", "size: 2", "size: 5"), args: "-P", runs: "test@linux-cfg1 test@mac-os-cfg1"},
		{name: "a value is added to a matrix", do: push("services/api/ stages test matrix os", "bsd"), args: "-P", runs: "test@bsd-cfg0 test@bsd-cfg1"},
		{name: "an output of a directory is deleted and its input changes", do: sh("rm -r services/api/out; echo more >> services/api/main.txt"), args: "-P", runs: "build test@* bundle"},
		{name: "a stage of a directory is removed", do: unset("lib/ stages lib"), args: "-P", runs: none},
		{name: "a file with stages is added", do: sh("mkdir tools; echo 'stages: {tool: {cmd: echo tool >> ../../trace, deps: [../VERSION]}}' > tools/$FILE"), args: "-P", runs: "tool", pipe: none, why: "include: in pipe.yaml names the directories"},
		{name: "a stage of a directory", do: sh("echo 1.1 > VERSION; echo more >> services/web/about.txt"), args: "lib/dvc.yaml:lib", runs: "version lib"},
		{name: "a group of a directory", do: sh("echo 1.1 > VERSION; echo more >> services/web/about.txt"), args: "services/web/dvc.yaml:pages", runs: "pages@about"},
		{name: "inside of a directory", do: sh("echo 1.1 > VERSION; echo more >> services/web/about.txt"), in: "services/web", runs: "pages@about", pipe: "version lib build test@* bundle pages@about", why: "repro is for the whole project, wherever it is called"},
	}
}
