#!/bin/sh
# "Deploys" into the directory $LIVE. For a package index, the command is:
#
#   twine upload --skip-existing dist/*
set -e
mkdir -p "${LIVE:?set LIVE to the directory that stands for the server}"
cp dist/greet.pyz "$LIVE/greet.pyz"
