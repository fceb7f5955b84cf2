package starter

// What a proposal says beside its stages. Each goes through Sprintf where it has a %s.

const head = `# pipe.yaml declares what to build and deploy. Commit it together with pipe.lock.
# Run "pipe repro". Run it again, and nothing happens.

# The name of the project. Projects that share a remote need different names.
project: %s

# Where to share artifacts: s3://bucket/prefix or a directory.
# remote: s3://my-bucket/my-project

`

const example = `  # A build stage has outs. It runs when its command, deps, params or env
  # change, unless any machine that shares the remote has built the same before.
  hello:
    cmd: |
      mkdir -p artifacts
      echo "built from $(wc -c < pipe.yaml) bytes" > artifacts/hello.txt
    deps: [pipe.yaml]        # files, directories and globs; "!pattern" excludes
    outs: [artifacts/hello.txt]
`

// where is about environments, for whoever has a deploy stage.
const where = `
# Without environments, pipe repro deploys to one, "default". With these, "pipe deploy staging"
# deploys, and "pipe promote staging production" brings the same bytes to production.
# environments:
#   staging: {}
#   production: {from: staging}
`

const makeUnknown = `  # What make writes is not known. Name it in outs, and remove the "#".
  # %s:
  #   cmd: %s
  #   deps: %s
  #   outs: [dist/]
  #   mutex: make
`

// These are for comment, which puts a # before each line.
const (
	checkNote = "A check is recorded like a build: the same inputs are tested once, on any machine."
	buildNote = `A build stage has outs. It runs when its command, deps or env change, unless any
machine that shares the remote has built the same before.`
	goCheckNote = checkNote + `
Files that your code reads or embeds (go:embed) are inputs: name them in deps.`
	goBuildNote = buildNote + ` Add
{cmd: go version} to deps if each update of Go counts, too.`
	imageNote = `An image is kept as a file: whoever has its hash can load it, on any machine, by
docker load -i %s. Building it twice gives different bytes.`
	deployLater = `A deploy stage runs unless this very version is live. It runs in a fresh directory
that contains only its deps, and sees your whole environment, with credentials.
Nothing is deployed until you write deploy.sh and remove the "#" below.
deploy:
  deploy: true
  cmd: sh deploy.sh
  deps: %s`
)
