#!/bin/sh
# "Deploys" into a directory of $LIVE. With an account at AWS, the command is:
#
#   aws cloudformation deploy --region "$REGION" --stack-name shop --template-file shop.yaml \
#     --parameter-overrides "Code=$PIPE_HASH_DIST_SHOP_ZIP" --no-fail-on-empty-changeset
set -e
live=${LIVE:?set LIVE to the directory that stands for the cloud}/$REGION
mkdir -p "$live"
cp dist/shop.zip "$live/shop.zip"
