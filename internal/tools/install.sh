#!/bin/sh
# Installs a release of pipe: downloads the archive for this machine, checks it against the
# release's SHA256SUMS, and puts the program into a directory. Nothing else is changed.
#
#   PIPE_VERSION  the version, such as 0.2.0; the latest one when it is not set
#   PIPE_SHA256   the SHA-256 that the archive must have; SHA256SUMS must say so, too
#   BIN_DIR       where pipe goes; $HOME/.local/bin when it is not set
#   PIPE_URL      where the releases are, for a mirror
set -eu

main() {
  base=${PIPE_URL:-https://github.com/pipe-build/pipe/releases}
  case ${PIPE_VERSION:-latest} in
    latest) base=$base/latest/download ;;
    *) base=$base/download/v${PIPE_VERSION#v} ;;
  esac
  platform=$(platform)
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  trap 'exit 1' HUP INT TERM

  fetch "$base/SHA256SUMS" "$work/SHA256SUMS"
  line=$(grep "_$platform\.tar\.gz\$" "$work/SHA256SUMS") || fail "there is no release for $platform"
  want=${line%% *}
  archive=${line##* }
  archive=${archive#\*}
  case $line in
    *"
"*) fail "SHA256SUMS names several archives for $platform" ;;
  esac
  case $archive in
    */* | -*) fail "SHA256SUMS names an archive that is not a plain name: $archive" ;;
  esac
  [ "${PIPE_SHA256:-$want}" = "$want" ] || fail "SHA256SUMS says $want for $archive, but PIPE_SHA256 is $PIPE_SHA256; nothing was installed"
  fetch "$base/$archive" "$work/$archive"
  got=$(sum "$work/$archive")
  [ "$got" = "$want" ] || fail "$archive has the SHA-256 $got, but SHA256SUMS says $want; nothing was installed"

  (cd "$work" && tar -xzf "$archive" pipe) || fail "$archive does not contain pipe"
  put "$work/pipe" "${BIN_DIR:-$HOME/.local/bin}"
}

# platform prints the operating system and the architecture as archives are named by them.
platform() {
  os=$(uname -s) arch=$(uname -m)
  case $os in
    Linux) os=linux ;;
    Darwin) os=darwin ;;
    *) fail "this script installs on Linux and macOS, not on $os; use go install, or the zip of a release" ;;
  esac
  case $arch in
    x86_64 | amd64) arch=amd64 ;;
    aarch64 | arm64) arch=arm64 ;;
    *) fail "there is no release for $arch; use go install" ;;
  esac
  echo "${os}_$arch"
}

# fetch downloads a URL into a file. A server's error page is not taken for an answer.
fetch() {
  if command -v curl >/dev/null 2>&1; then
    curl -fsSL --retry 2 -o "$2" "$1" || fail "cannot download $1"
  elif command -v wget >/dev/null 2>&1; then
    wget -q -O "$2" "$1" || fail "cannot download $1"
  else
    fail "curl or wget is needed"
  fi
}

# sum prints the SHA-256 of a file.
sum() {
  if command -v sha256sum >/dev/null 2>&1; then
    set -- "$(sha256sum <"$1")"
  elif command -v shasum >/dev/null 2>&1; then
    set -- "$(shasum -a 256 <"$1")"
  else
    fail "sha256sum or shasum is needed"
  fi
  echo "${1%% *}"
}

# put moves the program into place in one step, when it runs here: one that is in use is not
# disturbed, and whatever goes wrong leaves the old one.
put() {
  mkdir -p "$2" || fail "cannot create $2; set BIN_DIR to another directory"
  [ ! -d "$2/pipe" ] || fail "$2/pipe is a directory; set BIN_DIR to another directory"
  new=$2/.pipe.new.$$
  trap 'rm -rf "$work" "$new"' EXIT
  { cp "$1" "$new" && chmod 755 "$new"; } || fail "cannot write to $2; set BIN_DIR to another directory"
  version=$("$new" version) || fail "the downloaded program does not run on this machine"
  mv -f "$new" "$2/pipe" || fail "cannot write $2/pipe"
  echo "installed $version as $2/pipe"
  case :$PATH: in
    *":$2:"*) ;;
    *) echo "add $2 to your PATH" ;;
  esac
}

fail() {
  echo "install.sh: $*" >&2
  exit 1
}

# Called at the end, so that a download that was cut off runs nothing.
main
