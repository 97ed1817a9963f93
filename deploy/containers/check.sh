#!/usr/bin/env bash
# Builds the images and runs Compose for real: scaling under load, killed containers, draining, confinement, nginx.
#
#   deploy/containers/check.sh [CHECK...]           with the engine that there is
#   ENGINE=own deploy/containers/check.sh [...]     with one that it starts (deploy/engine) and takes away in the end,
#                                                   bases made from Debian packages included; needs root on Debian
#
# Ends with 0 when all is well, 1 when something is not, 77 when there is no engine: the last line says so.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-.venv/bin/python}

if [ "${ENGINE:-}" = own ]; then
  folder=$(mktemp -d "${TMPDIR:-/tmp}/engine.XXXXXX")
  trap 'deploy/engine/down.sh "$folder" --remove' EXIT
  deploy/engine/up.sh "$folder"
  # shellcheck source=/dev/null
  . "$folder/env"
  bases=$(deploy/engine/bases.sh "$folder")
  eval "$bases"
fi

if ! docker info >/dev/null 2>&1 || ! docker compose version >/dev/null 2>&1; then
  echo "NOT CHECKED: no Docker engine with Compose answers here, so no image was built and Compose was not run." >&2
  echo "On Debian, as root: ENGINE=own deploy/containers/check.sh" >&2
  exit 77
fi
"$python" deploy/containers/check.py "$@"
