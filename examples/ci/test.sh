#!/bin/sh
# Checks what was built.
set -e
grep -q "<h1>" dist/shop.zip
