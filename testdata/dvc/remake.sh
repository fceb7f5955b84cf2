#!/bin/sh
# remake.sh DVC makes the locks and the remotes of these projects anew, with the program DVC of DVC.
set -eu
cd "$(dirname "$0")"
here=$PWD dvc=$1
for project in get-started foreach matrix monorepo; do
  work=$(mktemp -d)
  cp -R "$project/." "$work"
  (
    cd "$work"
    git init -q
    # The bytes of dvc add come back from the remote that was made before.
    if test -d .dvc; then "$dvc" pull -q $(find . -name '*.dvc' -type f); fi
    rm -rf store .dvc dvc.lock services/*/dvc.lock
    "$dvc" init -q
    "$dvc" config core.analytics false
    "$dvc" remote add -q -d store store
    case $project in
    get-started) "$dvc" add -q data/data.xml ;;
    monorepo) "$dvc" add -q data/users.csv ;;
    matrix) sed -i 's/frozen: true/frozen: false/' dvc.yaml ;;
    esac
    "$dvc" repro -P
    case $project in
    matrix) sed -i 's/frozen: false/frozen: true/' dvc.yaml ;;
    esac
    "$dvc" push -q
    "$dvc" status
  )
  rm -rf "$here/$project/store" "$here/$project/.dvc"
  # What git would keep is what a clone has.
  (cd "$work" && git ls-files -co --exclude-standard) | while read -r f; do
    mkdir -p "$here/$project/$(dirname "$f")"
    cp -f "$work/$f" "$here/$project/$f"
    chmod u+w "$here/$project/$f"
  done
  rm -rf "$work"
done
