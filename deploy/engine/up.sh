#!/usr/bin/env bash
# A Docker engine of one's own, for a Debian machine that has none: unpacked below FOLDER, not installed.
#
#   deploy/engine/up.sh FOLDER && . FOLDER/env && docker info
#   deploy/engine/down.sh FOLDER          always: the engine leaves mounts, links and firewall rules behind otherwise
#
# Takes the engine, Compose and buildx of the suite SUITE (trixie: 26.1, 2.26, 0.13) from the mirror that the machine's
# own sources name. Needs root. 15 s the first time, 2 s when everything is unpacked already.
set -euo pipefail
folder=$(realpath -m "${1:?usage: up.sh FOLDER}")
suite=${SUITE:-trixie}
mkdir -p "$folder"/{apt/etc/apt.conf.d,apt/lists/partial,apt/cache/archives/partial,deb,root,run,data,cfg}

[ "$(id -u)" = 0 ] || { echo "up.sh: an engine needs root" >&2; exit 1; }
for command in containerd runc iptables tini mmdebstrap; do
  PATH="$PATH:/usr/sbin" command -v "$command" >/dev/null && continue
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    containerd runc iptables tini mmdebstrap </dev/null >"$folder/apt.log" 2>&1
  break
done

if [ ! -x "$folder/root/usr/sbin/dockerd" ]; then
  # same mirror, other suite, private state: the machine's own package lists stay as they are
  awk 'BEGIN{RS="";ORS="\n\n"} NR==1' /etc/apt/sources.list.d/debian.sources |
    sed -E "s/^Suites:.*/Suites: $suite/" >"$folder/apt/etc/engine.sources"
  options=(-o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$folder/apt/etc"
    -o "Dir::State::lists=$folder/apt/lists" -o "Dir::Cache=$folder/apt/cache" -o APT::Sandbox::User=root)
  apt-get "${options[@]}" -qq update
  (cd "$folder/deb" && apt-get "${options[@]}" -qq download docker.io docker-cli docker-compose docker-buildx)
  for package in "$folder"/deb/*.deb; do dpkg-deb -x "$package" "$folder/root"; done
fi

echo "{\"cliPluginsExtraDirs\":[\"$folder/root/usr/libexec/docker/cli-plugins\"]}" >"$folder/cfg/config.json"
ln -sf /usr/bin/tini-static "$folder/root/usr/bin/tini-static" # docker-init is a link to it, for `init: true`
cat >"$folder/env" <<END
export DOCKER_HOST=unix://$folder/run/docker.sock DOCKER_CONFIG=$folder/cfg
export PATH=$folder/root/usr/sbin:$folder/root/usr/bin:\$PATH
END
# shellcheck source=/dev/null
. "$folder/env"
cat /proc/sys/net/ipv4/ip_forward >"$folder/ip_forward"

setsid dockerd --data-root "$folder/data" --exec-root "$folder/run/exec" --pidfile "$folder/run/dockerd.pid" \
  -H "unix://$folder/run/docker.sock" >"$folder/dockerd.log" 2>&1 </dev/null &
for _ in $(seq 150); do
  docker info >/dev/null 2>&1 && exit 0
  sleep 0.2
done
echo "up.sh: the engine did not start; the end of its log:" >&2
tail -20 "$folder/dockerd.log" >&2
exit 1
