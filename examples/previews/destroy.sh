#!/bin/sh
# Takes down what deploy.sh made: aws cloudformation delete-stack --stack-name "shop-$PIPE_ENV"
set -e
rm -rf "${LIVE:?set LIVE to the directory that stands for the cloud}/$PIPE_ENV.$DOMAIN"
