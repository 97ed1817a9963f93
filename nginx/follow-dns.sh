#!/bin/sh
# For nginx before 1.27.3, which looks names up only when it starts: writes the workers behind a DNS name into
# upstream.conf and has nginx take them over, again whenever they change. Requests in flight are not disturbed.
#
#   follow-dns.sh NAME PORT UPSTREAM.CONF 'nginx -s reload -p . -c nginx.conf' [SECONDS]
#
# Run it once with `true` as the command before nginx starts, so that there is a list: it ends with 1 if nobody is known.
set -eu
name=$1 port=$2 file=$3 reload=$4 every=${5:-}

write() { # 0 when the list changed; an empty or failing answer leaves the last one standing
    addresses=$(getent ahostsv4 "$name" | awk '{print $1}' | sort -u) || return 1
    [ -n "$addresses" ] || return 1
    {
        echo "upstream workers {"
        echo "    zone workers 128k;"
        echo "    least_conn;"
        for address in $addresses; do echo "    server $address:$port max_fails=0;"; done
        echo "    keepalive 32;"
        echo "}"
    } >"$file.new"
    if cmp -s "$file.new" "$file"; then return 1; fi
    cat "$file.new" >"$file"
}

if [ -z "$every" ]; then
    write || true
    [ -s "$file" ] && sh -c "$reload"
    exit
fi
while sleep "$every"; do
    if write; then sh -c "$reload" || echo "follow-dns: $reload failed" >&2; fi
done
