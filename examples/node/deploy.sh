#!/bin/sh
# "Deploys" into the directory $LIVE. For a bucket behind a CDN, the command is:
#
#   aws s3 sync --delete dist/ "s3://www-$PIPE_ENV/"
set -e
mkdir -p "${LIVE:?set LIVE to the directory that stands for the web server}"
rm -rf "$LIVE/www"
cp -R dist "$LIVE/www"
echo "$PIPE_HASH_DIST" > "$LIVE/version"
