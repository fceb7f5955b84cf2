#!/bin/sh
# "Deploys" into a directory of $LIVE. With an account at AWS, the command is:
#
#   aws cloudformation deploy --stack-name "shop-$PIPE_ENV" --template-file shop.yaml \
#     --parameter-overrides "Domain=$DOMAIN" "Code=$PIPE_HASH_DIST_SHOP_ZIP" --no-fail-on-empty-changeset
set -e
live=${LIVE:?set LIVE to the directory that stands for the cloud}/$DOMAIN
mkdir -p "$live"
cp dist/shop.zip "$live/shop.zip"
