#!/usr/bin/env bash
# The units, by systemd-analyze: every key known, every value good, and an exposure of "OK" (0 to 10, less is better).
. "$(dirname "$0")/env.sh"

need systemd-analyze "install systemd"
EXPOSURE_MOST=25 # in tenths: 2.5
OUT=$(mktemp -d)
trap 'rm -rf "$OUT"' EXIT
failed=0

# verify wants what is started to exist, and instances to have a name. It ends with 0 also for keys that it does not
# know and only prints them, so anything that it prints is a failure.
verify() {
  local said
  said=$(systemd-analyze verify --man=no --recursive-errors=no "$1" 2>&1) || { echo "$said"; return 1; }
  [ -z "$said" ] || { echo "$said"; return 1; }
}

exposure() {
  systemd-analyze security --no-pager --offline=true --threshold="$EXPOSURE_MOST" "$1"
}

for unit in deploy/systemd/*.service; do
  name=$(basename "$unit")
  sed 's#/opt/whisper-fleet/bin/whisper-fleet#/bin/true#' "$unit" >"$OUT/${name/@/@8101}"
  step "systemd-analyze verify $name" verify "$OUT/${name/@/@8101}" || failed=1
  step "systemd-analyze security $name" exposure "$OUT/${name/@/@8101}" || failed=1
done

mkdir "$OUT/whisper-fleet-worker@8101.service.d"
cp deploy/systemd/gpu.conf "$OUT/whisper-fleet-worker@8101.service.d/"
step "systemd-analyze verify whisper-fleet-worker@ with gpu.conf" verify "$OUT/whisper-fleet-worker@8101.service" || failed=1
exit "$failed"
