#!/bin/sh
# "Deploys" into the directory $LIVE. With a server, the commands are:
#
#   scp bin/greet "$HOST:/opt/greet/$PIPE_HASH_BIN_GREET"
#   ssh "$HOST" ln -sfn "$PIPE_HASH_BIN_GREET" /opt/greet/current
set -e
mkdir -p "${LIVE:?set LIVE to the directory that stands for the server}"
cp bin/greet "$LIVE/$PIPE_HASH_BIN_GREET"
ln -sfn "$PIPE_HASH_BIN_GREET" "$LIVE/current"
