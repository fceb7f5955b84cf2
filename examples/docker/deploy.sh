#!/bin/sh
# Deploys the image by its digest, so what runs is what was built, whatever happens to tags.
# It "deploys" into the directory $LIVE. With a registry and a cluster, the commands are:
#
#   skopeo copy oci-archive:dist/image.tar "docker://$REGISTRY/shop:$PIPE_ENV"
#   kubectl set image deployment/shop "shop=$REGISTRY/shop@$digest"
set -e
digest=$(cat dist/digest)
mkdir -p "${LIVE:?set LIVE to the directory that stands for the cluster}"
cp dist/image.tar "$LIVE/image.tar"
echo "image: shop@$digest" > "$LIVE/deployment.yaml"
