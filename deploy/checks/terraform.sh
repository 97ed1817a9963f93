#!/usr/bin/env bash
# The Terraform files: format, every argument of every AWS resource against the provider's own list, and checkov.
# `terraform validate` too, where the providers can be downloaded. None of this proves that an apply works.
. "$(dirname "$0")/env.sh"

need terraform "install Terraform 1.5 or later"
[ -f "$TOOLS/.aws" ] || lack "the AWS provider's list of arguments" "see .tools/aws.log"
export TF_CLI_CONFIG_FILE=/dev/null TF_DATA_DIR
TF_DATA_DIR=$(mktemp -d)
trap 'rm -rf "$TF_DATA_DIR"' EXIT
failed=0

step "terraform fmt" terraform fmt -check -recursive -diff deploy/terraform || failed=1
step "arguments of AWS resources" "$TOOLS/venv/bin/python" deploy/checks/terraform_arguments.py "$TOOLS"/aws/*.whl deploy/terraform || failed=1
if timeout 60 terraform -chdir=deploy/terraform init -no-color -backend=false -input=false -lockfile=readonly >"$TF_DATA_DIR/log" 2>&1; then
  step "terraform validate" terraform -chdir=deploy/terraform validate || failed=1
else
  echo "note: no terraform validate, the providers cannot be downloaded here: $(grep -m1 -io 'error: .*' "$TF_DATA_DIR/log")"
fi
if command -v checkov >/dev/null; then
  step "checkov" checkov --skip-download --quiet --compact --framework terraform -d deploy/terraform || failed=1
else
  echo "note: no checkov, see .tools/checkov.log"
fi
exit "$failed"
