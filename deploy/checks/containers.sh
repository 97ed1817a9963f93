#!/usr/bin/env bash
# Compose's files, alone and with each overlay, by Compose itself and by the schema; neither asks an engine. Building and
# running them is deploy/containers/check.sh.
. "$(dirname "$0")/env.sh"

need check-jsonschema "see .tools/linters.log"
OUT=$(mktemp -d)
trap 'rm -rf "$OUT"' EXIT
failed=0

for file in compose/compose*.yaml; do sed 's/!override//' "$file" >"$OUT/${file##*/}"; done # the schema knows no tags
step "schema of Compose files" check-jsonschema --quiet --builtin-schema vendor.compose-spec "$OUT"/*.yaml || failed=1

# the plugin of the docker command, or the program alone
if docker compose version >/dev/null 2>&1; then
  compose() { docker compose "$@"; }
elif command -v docker-compose >/dev/null 2>&1; then
  compose() { docker-compose "$@"; }
else
  echo "note: no Compose here, so overlays were held against the schema alone"
  exit "$failed"
fi
export DOCKER_HOST=unix:///nonexistent ALLOW_OPEN=true # what compose.wyoming.yaml wants to be told
step "compose.yaml" compose -f compose/compose.yaml config --quiet || failed=1
for overlay in gpu load monitoring nginx public redis wyoming; do
  step "compose.yaml with compose.$overlay.yaml" \
    compose -f compose/compose.yaml -f "compose/compose.$overlay.yaml" config --quiet || failed=1
done
exit "$failed"
