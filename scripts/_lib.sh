# shellcheck shell=bash
# What every script here needs; sourced, never run.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly UDC=.udc
readonly PYTHON=$UDC/venv/bin/python

say() { printf '%s\n' "$*" >&2; }
fail() {
  say "$*"
  exit 1
}

# usage TEXT ARGUMENTS...: prints TEXT and ends when the first argument asks for it.
usage() {
  local text=$1
  shift
  case ${1-} in
    -h | --help)
      printf '%s\n' "$text"
      exit 0
      ;;
  esac
}

# find_python: an interpreter for which every locked package and Triton's Python backend have a build.
find_python() {
  local candidate
  for candidate in python3.11 python3.12 python3.13 python3; do
    if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
      command -v "$candidate"
      return
    fi
  done
  fail 'There is no Python 3.11 to 3.13 on the PATH: install one (on Debian: apt-get install python3 python3-venv).'
}
