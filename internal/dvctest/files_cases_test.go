//go:build unix

package dvctest

// ofRaw is what runs after data/raw.csv has one line more.
const ofRaw = "prepare count page clean grid@* evaluate publish"

// fileCases change files that stages read.
func fileCases() []twin {
	return []twin{
		{name: "nothing changes", do: sh(":"), runs: none},
		{name: "nothing changes, and a stage runs always", do: sh(":"), runs: "stamp"},
		{name: "a line is added to an input of dvc add", do: sh("echo 4,40 >> data/raw.csv"), runs: ofRaw},
		{name: "a build makes the same bytes from other inputs", do: sh("sed -i.bak s/1,10/1,11/ data/raw.csv; rm data/raw.csv.bak"), runs: "prepare count clean grid@*-data1 train@* evaluate"},
		{name: "files are touched", do: sh("find . -path ./.git -prune -o -path ./.dvc -prune -o -path ./.pipe -prune -o -type f -exec touch {} +"), runs: none},
		{name: "a dependency becomes executable", do: sh("chmod +x src/train.sh"), runs: none, pipe: "train@* lint", why: "it decides whether a command can call it"},
		{name: "a dependency becomes read-only", do: sh("chmod a-w src/train.sh"), runs: none},
		{name: "a script changes", do: sh("echo '# more' >> src/train.sh"), runs: "train@* lint"},
		{name: "a script is replaced by a copy", do: sh("cp src/train.sh new; mv new src/train.sh"), runs: none},
		{name: "a script gets other line endings", do: sh(`printf '# train\r\n' > src/train.sh`), runs: "train@* lint"},
		{name: "a script becomes empty", do: sh(": > src/train.sh"), runs: "train@* lint"},
		{name: "a file is added to an input directory", do: sh("echo bird > data/images/bird.png"), runs: "images"},
		{name: "a file with an odd name is added to an input directory", do: sh("echo bird > 'data/images/ä b#c.png'"), runs: "images"},
		{name: "a file of an input directory is removed", do: sh("rm data/images/cats/1.png"), runs: "images"},
		{name: "a file of an input directory gets another name", do: sh("mv data/images/cats/1.png data/images/cats/2.png"), runs: "images"},
		{name: "a file in an input directory changes", do: sh("echo lion > data/images/cats/1.png"), runs: "images"},
		{name: "two files of an input directory are exchanged", do: sh("mv data/images/cats/1.png x; mv data/images/dogs/1.png data/images/cats/1.png; mv x data/images/dogs/1.png"), runs: "images"},
		{name: "a file that .dvcignore leaves out is added", do: sh("echo x > data/images/x.tmp; echo x > src/x.tmp"), runs: none, pipe: "images", why: "an input is kept whole, whatever .pipeignore says"},
		{name: "an empty directory is added to an input directory", do: sh("mkdir data/images/empty src/empty"), runs: none, pipe: "images", why: "an input is kept whole, with its empty directories"},
		{name: "a hidden file is added to a directory", do: sh("echo x > src/.hidden"), runs: "lint"},
		{name: "a file is added to a directory in git", do: sh("echo x > src/new.sh"), runs: "lint"},
		{name: "a file is added that nothing depends on", do: sh("echo x > other.txt; mkdir -p more; echo x > more/other.txt"), runs: none},
		{name: "a dependency is deleted", do: sh("rm src/train.sh"), args: "train@north", runs: "error"},
		{name: "a dependency becomes a symlink to its bytes", do: sh("mv src/train.sh elsewhere.sh; ln -s ../elsewhere.sh src/train.sh"), runs: none},
		{name: "a dependency below wdir changes", do: sh("echo more >> work/rules.txt"), runs: "clean"},
		{name: "the input of dvc add is deleted", do: sh("rm data/raw.csv"), args: "count", runs: "error", pipe: none, why: "its bytes are in the cache, and nothing needs them"},
		{name: "two files change", do: sh("echo '# more' >> src/region.sh; echo more >> work/rules.txt"), runs: "region@* clean lint"},
		{name: "a file changes and changes back", first: sh("echo 4,40 >> data/raw.csv"), do: sh(`printf 'id,value\n1,10\n2,20\n3,30\n' > data/raw.csv`), runs: "clean evaluate", pipe: none, why: "pipe has a record also where an output is persistent or not in the cache"},
	}
}
