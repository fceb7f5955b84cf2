#!/bin/sh
# "Deploys" into a directory of $LIVE. With an account at AWS, the command is:
#
#   aws cloudformation deploy --stack-name "shop-$PIPE_ENV" --template-file shop.yaml \
#     --parameter-overrides "Domain=$PIPE_ENV.$DOMAIN" --no-fail-on-empty-changeset
set -e
live=${LIVE:?set LIVE to the directory that stands for the cloud}/$PIPE_ENV.$DOMAIN
mkdir -p "$live"
cp dist/shop.zip "$live/shop.zip"
