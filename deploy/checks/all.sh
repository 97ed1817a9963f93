#!/usr/bin/env bash
# `make deploy-check`: every check beside this file, each with the real tool, and one table of what ran.
#
#   deploy/checks/all.sh              everything
#   deploy/checks/all.sh helm lint    only these
#
# Ends with 1 if a check found something. What the machine lacks is said loudly and is no failure, unless
# DEPLOY_CHECK_STRICT=true, as in the release workflow.
. "$(dirname "$0")/env.sh"

ORDER=(lint helm manifests terraform systemd nginx monitoring wheel containers)
PYTHON=${PYTHON:-python3} deploy/checks/tools.sh

LOG=$(mktemp)
trap 'rm -f "$LOG"' EXIT
rows=() failed=0 lacking=0
for name in "${@:-${ORDER[@]}}"; do
  [ -x "deploy/checks/$name.sh" ] || continue
  echo "== $name"
  began=$SECONDS code=0
  "deploy/checks/$name.sh" 2>&1 | tee "$LOG" || code=${PIPESTATUS[0]}
  took="$((SECONDS - began)) s"
  count=$(grep -c '^ok ' "$LOG" || true)
  case $code in
    0) rows+=("$name|passed|$count|$took|$(grep '^note: ' "$LOG" | sed 's/^note: //' | paste -sd ';' || true)") ;;
    "$LACKING") rows+=("$name|NOT RUN|$count|$took|$(tail -1 "$LOG")") lacking=1 ;;
    *) rows+=("$name|FAILED|$count|$took|$(grep '^FAIL ' "$LOG" | sed 's/^FAIL *//' | paste -sd ';' || true)") failed=1 ;;
  esac
done

echo
printf '%-11s  %-7s  %4s  %6s  %s\n' check result ok took remarks
for row in "${rows[@]}"; do
  IFS='|' read -r name result count took remarks <<<"$row"
  printf '%-11s  %-7s  %4s  %6s  %s\n' "$name" "$result" "$count" "$took" "$remarks"
done
if ((lacking)); then
  echo
  echo "WARNING: what says NOT RUN was not checked: this machine lacks what it needs." >&2
  [ "${DEPLOY_CHECK_STRICT:-false}" = false ] || failed=1
fi
exit "$failed"
