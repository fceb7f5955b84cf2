//go:build unix

package dvctest

// outCases change what stages have made.
func outCases() []twin {
	const absent = "in a fresh clone no output is in the workspace, and nothing runs"
	return []twin{
		{name: "an output is deleted", do: sh("rm page.html"), runs: none, left: absent},
		{name: "an output is edited", do: sh("echo edit >> page.html"), runs: none},
		{name: "an output is touched", do: sh("touch page.html"), runs: none},
		{name: "an output becomes executable", do: sh("chmod +x page.html"), runs: none},
		{name: "an output becomes a directory", do: sh("rm page.html; mkdir page.html; echo x > page.html/x"), runs: none},
		{name: "an output is deleted, and its stage changes", do: all(sh("rm page.html"), within("stages page cmd", "echo rows", "echo lines")), runs: "page publish"},
		{name: "an output is edited, and its input changes", do: sh("echo edit >> page.html; echo 4,40 >> data/raw.csv"), args: "page", runs: "count page"},
		{name: "an output of a list's stages is edited", do: sh("echo edit >> models/north.bin"), runs: none},
		{name: "all outputs are deleted", do: sh("rm -rf data/prepared data/count.txt page.html data/images.txt models regions grid loss.csv site.txt link.html sealed.txt whole.txt work/sorted.csv"), runs: "clean evaluate", pipe: none, why: absent},
		{name: "a file of an output directory is deleted", do: sh("rm data/prepared/test/part.csv"), runs: none},
		{name: "a file of an output directory is edited", do: sh("echo edit >> data/prepared/train/part.csv"), runs: none},
		{name: "a file is added to an output directory", do: sh("echo x > data/prepared/x"), runs: none},
		{name: "an ignored file is added to an output directory", do: sh("echo x > data/prepared/x.tmp"), runs: none, left: "an output directory is what its stage has made, whatever .pipeignore says"},
		{name: "an empty directory is added to an output directory", do: sh("mkdir data/prepared/empty"), runs: none},
		{name: "an output directory is deleted", do: sh("rm -r data/prepared"), runs: none, left: absent},
		{name: "an output that is not cached is edited", do: sh("echo edit >> evaluate.log"), runs: "evaluate"},
		{name: "an output that is not cached is deleted", do: sh("rm evaluate.log"), runs: "evaluate"},
		{name: "metrics are edited", do: sh("echo edit >> metrics.json"), runs: "evaluate"},
		{name: "a persistent output is deleted", do: sh("rm work/history.log"), runs: "clean", pipe: none, why: absent},
		{name: "a persistent output is edited", do: sh("echo edit >> work/history.log"), runs: "clean", pipe: none, why: "a persistent output is restored as others are; the edit stays in the cache"},
		{name: "the output of a frozen stage is deleted", do: sh("rm docs.html"), args: "link", runs: "error", pipe: none, why: absent},
		{name: "the output of a frozen stage is edited", do: sh("echo edit >> docs.html"), runs: "link", pipe: none, why: "what a stage has made is what pipe.lock says, not what somebody wrote there"},
		{name: "the cache is deleted", do: sh("rm -rf .dvc/cache .pipe/cache"), runs: "prepare count page images clean train@* region@* grid@* evaluate publish whole", pipe: none, why: "what is on the disk is as recorded: it goes into the cache again"},
		{name: "the cache and an output are deleted", do: sh("rm -rf .dvc/cache .pipe/cache page.html"), args: "page", runs: "count page", pipe: none, why: absent},
		{name: "the lock file is deleted", do: sh("rm -f dvc.lock pipe.lock"), args: "page", runs: none},
		{name: "an output of a stage that runs always changes", do: within("stages stamp cmd", "echo stamp > stamp.txt", "echo >> ../count; wc -l < ../count > stamp.txt"), runs: "stamp sealed", again: "stamp sealed"},
	}
}
