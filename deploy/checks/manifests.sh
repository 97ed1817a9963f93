#!/usr/bin/env bash
# deploy/kubernetes is what the chart renders to today, every object is valid, and checkov finds nothing that has no
# reason below.
. "$(dirname "$0")/env.sh"

need helm4 "it comes from npm: install Node.js"
OUT=$(mktemp -d)
trap 'rm -rf "$OUT"' EXIT
failed=0

SKIPPED=(
  CKV_K8S_11 # limits on cpu: throttling costs latency and protects nobody where requests are set
  CKV_K8S_14 CKV_K8S_43 # images by digest: known only once you have built and pushed them
  CKV_K8S_35 # secrets as files: the programs read settings from the environment
  CKV_K8S_15 # always pulling: tags are versions
  CKV_K8S_40 # a user id above 10000: 1000 is what the images and their volumes have
)

up_to_date() {
  deploy/render.sh "$OUT" && for each in cpu gpu; do diff "deploy/kubernetes/$each.yaml" "$OUT/$each.yaml"; done
}

step "deploy/kubernetes is what the chart renders to" up_to_date || failed=1
for file in deploy/kubernetes/*.yaml; do
  step "schema: $file" kubernetes-validate --strict --quiet -k 1.33 "$file" || failed=1
done
if command -v checkov >/dev/null; then
  step "checkov" checkov --skip-download --quiet --compact --framework kubernetes -d deploy/kubernetes \
    --skip-check "$(IFS=, && echo "${SKIPPED[*]}")" || failed=1
else
  echo "note: no checkov, see .tools/checkov.log"
fi
exit "$failed"
