#!/bin/sh
# Packs myapp/ and the time of the build: no two builds produce the same bytes.
set -e
mkdir -p artifacts
stamp=$(mktemp -d)
trap 'rm -rf "$stamp"' EXIT
cp -R myapp "$stamp/myapp"
{ date; head -c 8 /dev/urandom | od -An -tx1; } > "$stamp/BUILD"
if command -v zip >/dev/null; then
  (cd "$stamp" && zip -qr app.zip myapp BUILD)
else
  (cd "$stamp" && python3 -m zipfile -c app.zip myapp BUILD)
fi
cp "$stamp/app.zip" artifacts/myapp.zip
echo "built artifacts/myapp.zip"
