#!/usr/bin/env bash
# What a release puts on the index: a source distribution, the wheel made from it, and that wheel in an empty
# environment, elsewhere, starting a fleet that hears its own sample.
. "$(dirname "$0")/env.sh"

[ -x "$TOOLS/venv/bin/python" ] || lack "build" "see .tools/linters.log"
BASE=${PYTHON:-python3}
OUT=$(mktemp -d)
up_pid=
end() {
  [ -z "$up_pid" ] || kill -KILL "$up_pid" 2>/dev/null || true
  rm -rf "$OUT"
}
trap end EXIT

build() { "$TOOLS/venv/bin/python" -m build --outdir "$OUT/dist" .; }
install() {
  "$BASE" -m venv "$OUT/venv" &&
    "$OUT/venv/bin/python" -m pip install --quiet --disable-pip-version-check "$(echo "$OUT"/dist/*.whl)[worker,router]"
}
nothing_of_ours_missing() {
  "$OUT/venv/bin/whisper-fleet" --version | grep -Fx "whisper-fleet $(sed -n 's/^__version__ = "\(.*\)"/\1/p' fleet/__init__.py)"
}

# `up` waits for all of its processes, transcribes the packaged sample through the router and prints the text.
hears() {
  cd "$OUT"
  env -u PYTHONPATH XDG_STATE_HOME="$OUT" "$OUT/venv/bin/whisper-fleet" up --workers 1 --port 0 >"$OUT/up.log" 2>&1 &
  up_pid=$!
  for _ in $(seq 240); do
    grep -q "^sample" "$OUT/up.log" && break
    kill -0 "$up_pid" 2>/dev/null || break
    sleep 0.5
  done
  kill -TERM "$up_pid"
  wait "$up_pid" || { cat "$OUT/up.log"; return 1; }
  up_pid=
  cat "$OUT/up.log"
  grep -qE '^sample +"five seven nine zero one"' "$OUT/up.log"
}

step "sdist and wheel are built" build
step "the wheel installs into an empty environment" install
step "it says its version" nothing_of_ours_missing
step "its fleet hears the packaged sample, and drains" hears
echo "note: $(cd "$OUT/dist" && stat --format='%n %s bytes' ./* | tr '\n' ' ')"
