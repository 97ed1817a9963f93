#!/usr/bin/env bash
# Stand-ins for the base images, made from Debian packages, for an engine that reaches no registry of images.
#
#   deploy/engine/bases.sh FOLDER     prints the variables that make build and Compose use them
#
# The python base is Debian's slim system with its Python 3.11; the other one holds nginx (1.27.3 or later), Redis,
# Prometheus and Alertmanager at once. They trust the certificates that this machine trusts. For checks only.
set -euo pipefail
folder=$(realpath -m "${1:?usage: bases.sh FOLDER}")
certificates=/etc/ssl/certs/ca-certificates.crt
old_dates=(--aptopt='Acquire::Check-Valid-Until "false"' --aptopt='Acquire::Check-Date "false"')
small=(--variant=minbase --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*')

make_base() { # TAG SUITE PACKAGES [docker import's --change ...]
  local tag=$1 suite=$2 packages=$3 tar="$folder/base.tar"
  shift 3
  docker image inspect "$tag" >/dev/null 2>&1 && return
  mmdebstrap "${small[@]}" "${old_dates[@]}" --include="$packages" \
    --customize-hook="copy-in $certificates /etc/ssl/certs/" "$suite" "$tar" 2>"$folder/base.log" ||
    { tail -5 "$folder/base.log" >&2; return 1; }
  docker import --change "ENV SSL_CERT_FILE=$certificates PIP_CERT=$certificates" "$@" "$tar" "$tag" >/dev/null
  rm "$tar"
}

make_service() { # NAME ENTRYPOINT USER
  docker image inspect "stand-in/$1" >/dev/null 2>&1 && return
  printf 'FROM stand-in/services\n%b\nUSER %s\n' "$2" "$3" | docker build -q -t "stand-in/$1" - >/dev/null
}

make_base stand-in/python bookworm ca-certificates,python3,python3-pip,python3-venv --change 'CMD ["python3"]'
make_base stand-in/services forky ca-certificates,busybox,nginx-light,redis-server,prometheus,prometheus-alertmanager \
  --change 'CMD ["sh"]'
make_service nginx 'RUN ln -s busybox /bin/wget' root
make_service redis '' redis
make_service prometheus 'RUN install -d -o nobody /prometheus\nENTRYPOINT ["prometheus"]' nobody
make_service alertmanager 'ENTRYPOINT ["prometheus-alertmanager"]' nobody

for name in python nginx redis prometheus alertmanager; do
  echo "export ${name^^}_IMAGE=stand-in/$name"
done
