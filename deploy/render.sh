#!/usr/bin/env bash
# `make manifests`: what is made from something else in deploy/. The chart's copies of the dashboards and of the alert
# rules (helm packs nothing from outside a chart), and deploy/kubernetes, rendered from the chart for those who do not
# use helm. `render.sh FOLDER` renders into another folder, for comparison.
. "$(dirname "$0")/checks/env.sh"

TO=${1:-deploy/kubernetes}
[ $# -gt 0 ] || "$ROOT/deploy/checks/tools.sh"
need helm4 "it comes from npm: install Node.js"

copies() { # copies TO FILE...
  rm -rf "$1"
  mkdir -p "$1"
  cp "${@:2}" "$1/"
}

manifest() { # manifest NAME [options]: the namespace first; labels that name helm as the keeper would not be true
  local name=$1
  shift
  {
    echo "# Written by make manifests from deploy/helm/whisper-fleet; docs/kubernetes.md says how to use it."
    cat deploy/kubernetes/namespace.yaml
    helm4 template whisper-fleet "$CHART" --namespace whisper-fleet --set auth.existingSecret=whisper-fleet "$@" |
      grep -v -e 'managed-by: Helm' -e '^# Source: '
  } >"$TO/$name.yaml"
}

if [ $# -eq 0 ]; then
  copies "$CHART/dashboards" deploy/grafana/dashboards/*.json
  copies "$CHART/rules" deploy/prometheus/rules.yml
fi
manifest cpu
manifest gpu --values "$CHART/examples/gpu.yaml"
