#!/bin/sh
# "Deploys" into the directory $DEPLOY_DIR. It runs in a fresh directory that holds
# artifacts/ and this script. With an account at AWS, the command is:
#
#   aws lambda update-function-code --function-name "myapp-$PIPE_ENV" --zip-file fileb://artifacts/myapp.zip
#
# and the function's CodeSha256 is then $PIPE_SHA256_ARTIFACTS_MYAPP_ZIP in base64.
set -e
: "${DEPLOY_DIR:?set DEPLOY_DIR to the directory that stands for the cloud}"
mkdir -p "$DEPLOY_DIR"
cp artifacts/myapp.zip "$DEPLOY_DIR/myapp.zip"
echo "$PIPE_HASH_ARTIFACTS_MYAPP_ZIP" > "$DEPLOY_DIR/version"
echo "live: $PIPE_HASH_ARTIFACTS_MYAPP_ZIP"
