package spec

import "strings"

// firstFile is the pipe.yaml that Init writes: it works as it stands.
const firstFile = `# pipe.yaml: what is built from what. Commit it, and pipe.lock too.
# Run "pipe repro"; run it again and nothing happens.

# The project's name in a shared store. Two projects need two names.
project: NAME

# Where artifacts are shared: s3://bucket/prefix, or a directory.
# remote: s3://my-bucket/my-project

stages:
  # A build stage has outs. It runs when its command, deps, params or env
  # change; else what it made before is taken, from whichever machine made it.
  hello:
    cmd: |
      mkdir -p artifacts
      echo "built from $(wc -c < pipe.yaml) bytes" > artifacts/hello.txt
    deps: [pipe.yaml]        # files, directories, globs; "!pattern" leaves out
    outs: [artifacts/hello.txt]

  # A deploy stage has no outs. It runs when what it depends on is not what is
  # live, in a fresh directory that holds its deps alone.
  # deploy:
  #   cmd: ./deploy.sh
  #   deps: [artifacts/, deploy.sh]
`

// First returns a first pipe.yaml for a project, which works as it stands.
func First(name string) string { return strings.Replace(firstFile, "NAME", name, 1) }
