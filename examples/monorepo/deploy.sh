#!/bin/sh
# "Deploys" into the directory $LIVE.
set -e
mkdir -p "${LIVE:?set LIVE to the directory that stands for the server}"
cp dist/index.html "$LIVE/"
