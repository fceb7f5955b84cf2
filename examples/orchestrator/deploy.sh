#!/bin/sh
# "Deploys" dist/$1.zip into a directory of $LIVE. With an account at AWS, the command is:
#
#   aws cloudformation deploy --stack-name "$stack-$1" --template-file "$1.yaml" \
#     --parameter-overrides "Code=s3://acme-code/$1/$hash" --no-fail-on-empty-changeset
set -e
stack=$STACK
case $PIPE_ENV in dev-*) stack=$STACK-${PIPE_ENV#dev-} ;; esac   # each developer has stacks of their own
live=${LIVE:?set LIVE to the directory that stands for the cloud}/$stack
mkdir -p "$live"
cp "dist/$1.zip" "$live/$1.zip"
