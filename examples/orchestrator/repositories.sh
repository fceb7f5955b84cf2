#!/bin/sh
# Makes the three repositories that stand for those at GitHub, beside this directory.
set -e
for name in project-api-v1 project-api-v2 project-console-v1; do
  git init -q -b develop "../$name"
  echo "$name, version 1" > "../$name/app.txt"
  git -C "../$name" add -A
  git -C "../$name" commit -qm "Version 1"
done
# A branch that is not merged yet.
git -C ../project-api-v2 switch -qc hotfix/important_patch
echo "project-api-v2, patched" > ../project-api-v2/app.txt
git -C ../project-api-v2 commit -qam "Important patch"
git -C ../project-api-v2 switch -q develop
