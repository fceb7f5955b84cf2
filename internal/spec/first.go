package spec

import "strings"

// firstFile is the pipe.yaml that Init writes: it works as it stands.
const firstFile = `# pipe.yaml declares what to build and deploy. Commit it together with pipe.lock.
# Run "pipe repro". Run it again, and nothing happens.

# The name of the project. Projects that share a remote need different names.
project: NAME

# Where to share artifacts: s3://bucket/prefix or a directory.
# remote: s3://my-bucket/my-project

stages:
  # A build stage has outs. It runs when its command, deps, params or env
  # change, unless any machine that shares the remote has built the same before.
  hello:
    cmd: |
      mkdir -p artifacts
      echo "built from $(wc -c < pipe.yaml) bytes" > artifacts/hello.txt
    deps: [pipe.yaml]        # files, directories and globs; "!pattern" excludes
    outs: [artifacts/hello.txt]

  # A deploy stage has no outs. It runs unless this version is live, in a fresh
  # directory that contains only its deps.
  # deploy:
  #   cmd: ./deploy.sh
  #   deps: [artifacts/, deploy.sh]
`

// First returns a first pipe.yaml for a project, which works as it stands.
func First(name string) string { return strings.Replace(firstFile, "NAME", name, 1) }
