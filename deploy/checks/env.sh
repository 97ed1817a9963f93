# shellcheck shell=bash
# Sourced by every check. A check ends with 0 when all is well, 77 when the machine lacks what it needs (the last line
# says what), anything else when it found something.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
TOOLS=${TOOLS:-$ROOT/.tools}
CHART=$ROOT/deploy/helm/whisper-fleet
LACKING=77
export PATH="$TOOLS/bin:$TOOLS/venv/bin:$PATH:/usr/sbin"
cd "$ROOT"

lack() { # lack WHAT HOW-TO-GET-IT
  echo "$1 is not on this machine; $2"
  exit "$LACKING"
}

need() { # need COMMAND HOW-TO-GET-IT
  command -v "$1" >/dev/null 2>&1 || lack "$1" "$2"
}

step() { # step NAME COMMAND...: run it, and show what it said only when it fails
  local name=$1 said
  shift
  if said=$("$@" 2>&1); then
    echo "ok    $name"
  else
    echo "FAIL  $name"
    printf '%s\n' "$said" | tail -40
    return 1
  fi
}

in_node() { # in_node SCRIPT ARGUMENT...: one of the .mjs files, from beside the packages that it imports
  local script=$1
  shift
  cp "$ROOT/deploy/checks/$script.mjs" "$TOOLS/npm/"
  node "$TOOLS/npm/$script.mjs" "$@"
}
