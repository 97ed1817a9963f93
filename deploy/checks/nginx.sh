#!/usr/bin/env bash
# nginx's configuration by nginx -t, as anybody who tries it would run it. The form that follows DNS needs 1.27.3.
. "$(dirname "$0")/env.sh"

need nginx "on Debian: apt-get install nginx-light"
OUT=$(mktemp -d)
trap 'rm -rf "$OUT"' EXIT
cp -r nginx/. "$OUT/"
mkdir -p "$OUT"/{temp,logs,enabled,tls}
failed=0

check() { nginx -t -p "$OUT" -c nginx.conf -e stderr; }

step "nginx -t, fixed list of workers" check || failed=1
cp nginx/limits.conf "$OUT/enabled/"
step "nginx -t, with limits" check || failed=1
openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=check \
  -out "$OUT/tls/fleet.crt" -keyout "$OUT/tls/fleet.key" 2>/dev/null
cp nginx/listen-tls.conf "$OUT/listen.conf"
step "nginx -t, with TLS" check || failed=1
version=$(nginx -v 2>&1 | grep -oE '[0-9]+\.[0-9]+\.[0-9]+')
if printf '1.27.3\n%s\n' "$version" | sort -CV; then
  cp nginx/upstream-resolve.conf "$OUT/upstream.conf"
  step "nginx -t, workers by DNS" check || failed=1
else
  echo "note: nginx $version is here; the form that follows DNS needs 1.27.3 and is tried in containers"
fi
exit "$failed"
