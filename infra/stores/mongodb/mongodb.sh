#!/usr/bin/env bash
# A MongoDB server without Docker: mongodb.sh install | run | start | stop | status | flavour
#
# Settings: PORT (27017), DATA (folder of its data), PASSWORD (of the user `admin`, whom everybody has to be then; none: no
# access control), CACHE_MB (512; of memory for data), FLAVOUR (mongod | secantusdb; mongod if there is one).
# A mongod of version 6 or newer on the PATH is taken and made a replica set of one node, as transactions need. Without one it
# is SecantusDB, which speaks MongoDB's protocol over WiredTiger, MongoDB's own storage engine, and comes out of Python wheels
# (pip); it is not MongoDB, so whoever tests says which one ran. Each acknowledged write is on the disk.
store=mongodb
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../common.sh"

secantusdb=secantusdb-0.7.0b3
mongod_version_min=6
python=${PYTHON:-python3}

port=${PORT:-27017}
cache_mb=${CACHE_MB:-512}
data=$(absolute "${DATA:-$stores_home/data/mongodb-$port}")
pid_file=$data/server.pid

found_mongod() {
  local version
  command -v mongod >/dev/null || return 1
  version=$(mongod --version | sed -n 's/^db version v\([0-9]*\)\..*/\1/p')
  [ "${version:-0}" -ge $mongod_version_min ] || {
    echo "$store: mongod on the PATH is older than version $mongod_version_min; taking SecantusDB" >&2
    return 1
  }
}

choose_flavour() {
  flavour=${FLAVOUR:-}
  case $flavour in
    mongod) found_mongod || fail "no mongod of version $mongod_version_min or newer is on the PATH" ;;
    secantusdb) ;;
    "") if found_mongod; then flavour=mongod; else flavour=secantusdb; fi ;;
    *) fail "unknown FLAVOUR '$flavour': mongod or secantusdb" ;;
  esac
}

# Wheels are for one version of Python each.
find_python() {
  local version
  version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || fail "needs $python (apt-get install python3)"
  case $version in
    3.11 | 3.12 | 3.13) ;;
    *) fail "needs Python 3.11, 3.12 or 3.13, and $python is $version: set PYTHON" ;;
  esac
  home=$stores_home/$secantusdb-python$version
}

install_wheels() {
  [ ! -e "$home/.complete" ] || return 0
  local requirements=$here/requirements.txt check=(--require-hashes)
  if [ "$(uname -m)" != x86_64 ]; then
    # The file has no hashes of these: pip checks them against the package index.
    sed 's/ *\\$//; /--hash/d' "$requirements" >"$work/requirements.txt"
    requirements=$work/requirements.txt check=()
  fi
  # Dependencies are all in the file. A pip run by root need not warn that it is.
  PIP_ROOT_USER_ACTION=ignore "$python" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    "${check[@]}" --target "$work/packages" --requirement "$requirements" >&2 || return 1
  "$python" -m compileall -q "$work/packages/secantus" || true # else only root's servers would start fast
  chmod -R a+rX "$work/packages"
  touch "$work/packages/.complete"
  rm -rf "$home"
  mv "$work/packages" "$home"
}

# The wheels are needed for mongod too: its replica set and user are made with PyMongo.
install_server() {
  choose_flavour
  find_python
  set_admin
  [ ! -e "$home/.complete" ] || return 0
  "$python" -m pip --version >/dev/null 2>&1 || fail "pip is missing (apt-get install python3-pip)"
  with_install_lock install_wheels || fail "cannot install $secantusdb with pip; is the package index reachable?"
}

# What runs admin.py with the wheels; nothing of the caller's own Python is mixed in.
set_admin() {
  admin=(env -u PYTHONHOME PYTHONPATH="$home" PYTHONNOUSERSITE=1 PASSWORD="${PASSWORD:-}" CACHE_MB="$cache_mb" "$python" "$here/admin.py")
}

run_secantusdb() {
  exec "${admin[@]}" serve "$port" "$data/db"
}

run_mongod() {
  local options=(--replSet rs0 --bind_ip 127.0.0.1 --port "$port" --dbpath "$data/db"
    --wiredTigerCacheSizeGB "$(awk "BEGIN { print $cache_mb / 1024 }")"
    --setParameter transactionLifetimeLimitSeconds=15)
  if [ -n "${PASSWORD:-}" ]; then
    # Members of a replica set with access control know each other by it; there is one.
    [ -s "$data/key" ] || (umask 077 && head -c 96 /dev/urandom | base64 -w 0 >"$data/key")
    options+=(--keyFile "$data/key")
  fi
  "${admin[@]}" initiate "$port" >&2 &
  exec env -u PASSWORD mongod "${options[@]}"
}

run() {
  install_server
  case ${PASSWORD:-} in *[!A-Za-z0-9_-]*) fail "PASSWORD may have letters, digits, - and _ only" ;; esac
  case $cache_mb in *[!0-9]*) fail "CACHE_MB is a number" ;; esac
  mkdir -p "$data/db"
  cd "$data"
  "run_$flavour"
}

# Whether clients can write: a mongod has to have become primary first, and to have its user.
ready() { answers "$port" && "${admin[@]}" ready "$port"; }

case ${1:-} in
  install)
    install_server
    if [ "$flavour" = mongod ]; then command -v mongod; else echo "$home"; fi
    ;;
  flavour) # which server it would take
    choose_flavour
    echo "$flavour"
    ;;
  run) run ;;
  start)
    install_server
    mkdir -p "$data"
    in_background "$pid_file" "$data/server.log" 60 ready bash "${BASH_SOURCE[0]}" run
    ;;
  stop) stop_process "$pid_file" ;;
  status) say_status "$pid_file" ;;
  *)
    sed -n 2,8p "${BASH_SOURCE[0]}"
    exit 2
    ;;
esac
