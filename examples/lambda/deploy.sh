#!/bin/sh
# "Deploys" into the directory $DEPLOY_DIR, as "aws lambda update-function-code"
# would. It runs in a fresh directory that holds artifacts/ and this script.
set -e
: "${DEPLOY_DIR:?set DEPLOY_DIR to the directory that stands for the cloud}"
mkdir -p "$DEPLOY_DIR"
cp artifacts/myapp.zip "$DEPLOY_DIR/myapp.zip"
echo "$PIPE_HASH_ARTIFACTS_MYAPP_ZIP" > "$DEPLOY_DIR/version"
echo "live: $PIPE_HASH_ARTIFACTS_MYAPP_ZIP"
