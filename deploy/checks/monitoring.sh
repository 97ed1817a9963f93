#!/usr/bin/env bash
# What Prometheus, Alertmanager and Grafana are given: promtool check and test, amtool, and the dashboards' own writer.
. "$(dirname "$0")/env.sh"

need promtool "on Debian: apt-get install prometheus"
need amtool "on Debian: apt-get install prometheus-alertmanager"
failed=0

step "promtool check config" promtool check config deploy/prometheus/prometheus.yml || failed=1
step "promtool check rules" promtool check rules deploy/prometheus/rules.yml || failed=1
step "promtool test rules" promtool test rules deploy/prometheus/rules_test.yml || failed=1
step "amtool check-config" amtool check-config deploy/alertmanager/alertmanager.yml || failed=1
step "dashboards are as written" "${PYTHON:-python3}" deploy/grafana/write_dashboards.py --check || failed=1
exit "$failed"
