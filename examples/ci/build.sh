#!/bin/sh
# Packs src/ with the time of the build: no two builds produce the same bytes.
set -e
mkdir -p dist
{ cat src/*; date; head -c 8 /dev/urandom | od -An -tx1; } > dist/shop.zip
