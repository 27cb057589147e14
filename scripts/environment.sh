# shellcheck shell=sh
# Sourced by the other scripts: the way to the project's root, and how a virtual environment is made and kept current.
# What must never stand here: what a single script does. Nothing may be printed on stdout (a stdio server owns it).
set -eu
cd "$(dirname "$0")/.."
bin= # the folder of an environment's programs; set by environment and bin_of

die() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

say() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
}

# find_python: sets $python to the first interpreter that is new enough and can make environments
find_python() {
  for python in "${PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11 python; do
    [ -n "$python" ] || continue
    "$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && return 0
  done
  die "no Python 3.11 or newer with its venv module was found; install one (Debian: python3-venv) or name it: PYTHON=/path/to/python3"
}

# bin_of FOLDER: sets $bin to the folder of the environment's programs (Windows has its own name for it)
bin_of() {
  bin=$1/bin
  [ ! -d "$1/Scripts" ] || bin=$1/Scripts
}

# environment FOLDER FILE...: makes the environment when it is missing and installs the last FILE with pip when any
# FILE has changed since; a stamp makes the second call cost nothing. Sets $bin.
environment() {
  folder=$1
  shift
  for last in "$@"; do :; done
  stamp=$folder/.installed-$(basename "$last")
  wanted=$(cat "$@" | cksum)
  bin_of "$folder"
  if [ -x "$bin/python" ] && [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
    return 0
  fi
  if ! "$bin/python" -m pip --version >/dev/null 2>&1; then
    find_python
    say "making $folder with $("$python" --version)"
    "$python" -m venv --clear "$folder" >&2 || die "$folder could not be made; see the lines above"
    bin_of "$folder"
  fi
  say "installing $last into $folder"
  "$bin/python" -m pip install --quiet --quiet --disable-pip-version-check -r "$last" >&2 ||
    die "$last could not be installed into $folder; see pip's lines above, then run this again"
  printf '%s\n' "$wanted" >"$stamp"
}

# shellcheck disable=SC2034 # for the scripts that source this
NODE=node@22 # the peers and the conformance suite don't run on Node 20

# npm_packages FOLDER PACKAGE...: puts npm packages below .cache/FOLDER, once; another list makes the folder anew
npm_packages() {
  packages=.cache/$1
  shift
  [ ! -f "$packages/.installed" ] || [ "$(cat "$packages/.installed")" != "$*" ] || return 0
  command -v npm >/dev/null 2>&1 || die "npm is missing; it comes with Node.js"
  say "installing $* into $packages"
  rm -rf "$packages"
  mkdir -p "$packages"
  (cd "$packages" && npm init -y >/dev/null 2>&1 && npm install --silent --no-audit --no-fund "$@" >&2) ||
    die "$* could not be installed into $packages"
  printf '%s\n' "$*" >"$packages/.installed"
}
