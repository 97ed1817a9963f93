#!/usr/bin/env bash
# Stops the engine that up.sh started below FOLDER and takes away what it left: mounts, bridge, firewall rules, groups.
#
#   deploy/engine/down.sh FOLDER [--remove]     --remove: the folder too, with every image and volume
set -uo pipefail
folder=$(realpath -m "${1:?usage: down.sh FOLDER [--remove]}")
[ -f "$folder/env" ] || { echo "down.sh: no engine below $folder" >&2; exit 0; }
# shellcheck source=/dev/null
. "$folder/env"

docker ps -aq | xargs -r docker rm -f >/dev/null
docker network prune -f >/dev/null
if pid=$(cat "$folder/run/dockerd.pid" 2>/dev/null); then
  kill "$pid"
  for _ in $(seq 100); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.2
  done
fi
mount | awk -v below="$folder/" 'index($3, below) == 1 {print $3}' | sort -r | xargs -r umount
ip link del docker0 2>/dev/null

for table in filter nat; do
  iptables-save -t "$table" | grep -E '^-A' | grep -E 'DOCKER|docker0' | grep -vE '^-A DOCKER' | sed 's/^-A/-D/' |
    while read -r rule; do eval "iptables -t $table $rule"; done
  chains=$(iptables-save -t "$table" | sed -n 's/^:\(DOCKER[A-Z0-9-]*\) .*/\1/p')
  for action in -F -X; do
    for chain in $chains; do iptables -t "$table" "$action" "$chain"; done
  done
done
sysctl -qw "net.ipv4.ip_forward=$(cat "$folder/ip_forward" 2>/dev/null || echo 0)"
for group in /sys/fs/cgroup/*/docker; do
  [ -d "$group" ] && find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null
done
[ "${2:-}" = --remove ] && rm -rf "$folder"
exit 0
