#!/bin/sh
# Runs this example in a scratch directory: build, no-op, fresh clone, find.
# usage: demo.sh /path/to/pipe
set -eu
pipe=$1
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
export GIT_AUTHOR_NAME=demo GIT_AUTHOR_EMAIL=demo@example.invalid
export GIT_COMMITTER_NAME=demo GIT_COMMITTER_EMAIL=demo@example.invalid
export DEPLOY_DIR="$scratch/cloud"
say() { printf '\n# %s\n' "$*"; }
run() { printf '$ %s\n' "$*"; "$@" 2>&1; }
pipe() { "$pipe" "$@"; }

mkdir "$scratch/first"
cp -R "$here/." "$scratch/first"
rm -f "$scratch/first/demo.sh"
cd "$scratch/first"
git -c init.defaultBranch=main init -q

say "build and deploy"
run pipe repro
say "again: nothing to do"
run pipe repro
say "the deployment has published the artifact; commit the lock"
git add -A && git commit -qm "First version"

say "a new machine: nothing runs, nothing is downloaded"
git clone -q "$scratch/first" "$scratch/second"
cd "$scratch/second"
run pipe repro
say "the identical zip"
run pipe pull
cmp artifacts/myapp.zip "$scratch/first/artifacts/myapp.zip"
cmp artifacts/myapp.zip "$DEPLOY_DIR/myapp.zip"

say "what is live?"
run pipe find "$(cut -c1-12 "$DEPLOY_DIR/version")"
