#!/usr/bin/env bash
# The servers of the whole shop at once: all.sh install | run | start | stop | status
#
# Redis for sessions, carts and recommendations, a second Redis for the event bus, Elasticsearch, Neo4j, ClickHouse, MongoDB and
# Prometheus: installs what is missing, starts them, waits until each answers, writes the settings for `emporium --stores FILE`,
# and says how to start the shop. `run` stays in the foreground and ends them at Ctrl-C.
#
# Settings: DATA (folder of their data and of the settings file), PORT_OFFSET (0; is added to every port, for a second set),
# SHOP_PORT (8080 + PORT_OFFSET) and SHOP_DATA (the shop's own data folder): Prometheus has to know where the shop will be,
# HEAP (512m; of Elasticsearch and of Neo4j, each), ONLY (names of some servers; all).
# Who may start them may read the password that all of them have; it is made at the first start and kept in the settings file.
store=all
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/common.sh"

all=(redis bus elasticsearch neo4j clickhouse mongodb prometheus)
read -ra servers <<<"${ONLY:-${all[*]}}"
offset=${PORT_OFFSET:-0}
heap=${HEAP:-512m}
default_data=${XDG_DATA_HOME:-${HOME:-}/.local/share}/emporium-stores
default_shop=${XDG_DATA_HOME:-${HOME:-}/.local/share}/emporium
if [ "$(id -u)" = 0 ]; then
  default_data=/var/lib/emporium-stores default_shop=/var/lib/emporium
fi
[ "$offset" = 0 ] || default_data=$default_data-$offset default_shop=$default_shop-$offset
data=$(absolute "${DATA:-$default_data}")
shop_data=$(absolute "${SHOP_DATA:-${EMPORIUM_DATA_DIR:-$default_shop}}")
settings=$data/stores.toml
# What the servers take beside their heaps, in MiB: measured with the gift shop's data, and rounded up.
beside_heaps_mib=1900

# ports SERVER: its port, then others that it takes. They are the usual ones, so that what is known about a store holds here.
ports() {
  case $1 in
    redis) echo $((6379 + offset)) ;;
    bus) echo $((6380 + offset)) ;;
    elasticsearch) echo $((9200 + offset)) $((9300 + offset)) ;;
    neo4j) echo $((7687 + offset)) $((7474 + offset)) ;;
    clickhouse) echo $((8123 + offset)) ;;
    mongodb) echo $((27017 + offset)) ;;
    prometheus) echo $((9090 + offset)) ;;
    *) fail "there is no server '$1' among ${all[*]}" ;;
  esac
}

port_of() { ports "$1" | cut -d' ' -f1; }

check_settings() {
  case $offset in '' | *[!0-9]*) fail "PORT_OFFSET is a number" ;; esac
  [ "$offset" -le 38518 ] || fail "PORT_OFFSET is at most 38518, or MongoDB's port would be too large"
  shop_port=${SHOP_PORT:-$((8080 + offset))}
  case $shop_port in '' | *[!0-9]*) fail "SHOP_PORT is a number" ;; esac
  [[ $heap =~ ^[1-9][0-9]{0,4}[mg]$ ]] || fail "HEAP is a number of megabytes or gigabytes, such as 512m"
  heap_mib=${heap%[mg]}
  [[ $heap != *g ]] || heap_mib=$((heap_mib * 1024))
  case $data$shop_data in *[!A-Za-z0-9_/.@=+-]*) fail "the folders $data and $shop_data may have plain signs in their names only" ;; esac
  local server
  for server in "${servers[@]}"; do ports "$server" >/dev/null; done
}

# exec_one SERVER VERB: becomes the server's own script, with this set's settings and nobody else's.
exec_one() {
  local script=$1
  [ "$1" != bus ] || script=redis
  unset ACL_USER ACL_PASSWORD CLUSTER NODE_PORT DURABILITY FLAVOUR HEAP TRANSPORT_PORT RUN_AS HTTP_PORT PAGECACHE VERSION \
    DB_USER CACHE_MB TARGETS_URL TARGETS_TOKEN_FILE SCRAPE_INTERVAL SCRAPE_TIMEOUT RULES RETENTION REMOTE_WRITE OUT_OF_ORDER
  export PORT DATA=$data/$1 PASSWORD=${password:-}
  PORT=$(port_of "$1")
  case $1 in
    redis | bus) export DURABILITY=always ;;
    elasticsearch | neo4j) export HEAP=$heap ;;
    prometheus)
      # The shop's services take the ports after its own; monitoring is the tenth.
      export TARGETS_URL=http://127.0.0.1:$((shop_port + 10))/scrape-targets TARGETS_TOKEN_FILE=$shop_data/prometheus.token
      ;;
  esac
  # Servers must not hold on to the lock of the set.
  exec bash "$here/$script/$script.sh" "$2" 8>&-
}

runs() { running "$data/$1/server.pid"; }

# Those that do not run yet.
missing() {
  local server
  for server in "${servers[@]}"; do
    runs "$server" || echo "$server"
  done
}

# in_parallel VERB SERVER...: tells who is at work still, every ten seconds; complaints are shown as they come. Fails when one
# of them does.
in_parallel() {
  local verb=$1 doing=$2 server result=0 began=$SECONDS next=10
  declare -A jobs=()
  shift 2
  set -m # each in a process group of its own, so that it can be ended with all that it has begun
  for server in "$@"; do
    exec_one "$server" "$verb" </dev/null >/dev/null &
    jobs[$server]=$!
  done
  set +m
  while at_work=("${jobs[@]}") && [ ${#jobs[@]} -gt 0 ]; do
    for server in "${!jobs[@]}"; do
      kill -0 "${jobs[$server]}" 2>/dev/null && continue
      if ! wait "${jobs[$server]}"; then
        result=1
      elif [ "$verb" = start ]; then
        echo "$server: ready after $((SECONDS - began)) s, port $(port_of "$server")"
      fi
      unset "jobs[$server]"
    done
    if [ ${#jobs[@]} -gt 0 ] && [ $((SECONDS - began)) -ge $next ]; then
      next=$((SECONDS - began + 10))
      echo "all: $doing ${!jobs[*]} ($((SECONDS - began)) s)"
    fi
    sleep 0.1
  done
  return "$result"
}

# Before anything is started: what would fail later, and then half of the set would run.
check_ground() {
  local server port
  for server in "$@"; do
    for port in $(ports "$server"); do
      ! answers "$port" || fail "port $port, which $server needs, is in use by another program: stop it, or choose other ports with PORT_OFFSET"
    done
  done
  [ -r /proc/meminfo ] || return 0
  local needed=0 free
  for server in "$@"; do
    case $server in
      elasticsearch | neo4j) needed=$((needed + heap_mib)) ;;
    esac
  done
  needed=$((needed + beside_heaps_mib * $# / ${#all[@]}))
  free=$(($(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo) / 1024))
  [ "$free" -ge "$needed" ] ||
    fail "$* need $needed MiB of free memory, and there are $free: make room, choose a smaller HEAP (256m), or some of them with ONLY"
}

# The password of an earlier start, or a new one: folders of data remember theirs.
find_password() {
  password=$(sed -n 's/^# password: //p' "$settings" 2>/dev/null || true)
  [ -n "$password" ] || password=$(head -c 18 /dev/urandom | base64 | tr -d '+/=\n')
}

# Of all servers of the set that run. Appears whole or not at all, for its owner only.
write_settings() {
  local new
  new=$(mktemp "$data/.stores-XXXXXX")
  {
    echo "# Written by infra/stores/all.sh for \`emporium --stores $settings\`. It holds a password."
    echo "# password: $password"
    local server
    for server in "${all[@]}"; do
      ! runs "$server" || settings_of "$server" "127.0.0.1:$(port_of "$server")"
    done
  } >"$new"
  mv "$new" "$settings"
}

settings_of() {
  case $1 in
    redis)
      echo "EMPORIUM_SESSIONS_STORE = \"redis://default:$password@$2\""
      echo "EMPORIUM_CARTS_STORE = \"redis://default:$password@$2\""
      echo "EMPORIUM_RECOMMENDATIONS_CACHE = \"redis://default:$password@$2/1\""
      ;;
    bus) echo "EMPORIUM_EVENTS = \"redis://default:$password@$2\"" ;;
    elasticsearch) echo "EMPORIUM_CATALOG_SEARCH = \"elasticsearch://elastic:$password@$2\"" ;;
    neo4j) echo "EMPORIUM_RECOMMENDATIONS_STORE = \"neo4j://neo4j:$password@$2\"" ;;
    clickhouse) echo "EMPORIUM_ANALYTICS_STORE = \"clickhouse://default:$password@$2\"" ;;
    mongodb) echo "EMPORIUM_REVIEWS_STORE = \"mongodb://admin:$password@$2/reviews?authSource=admin&directConnection=true\"" ;;
    prometheus) echo "EMPORIUM_MONITORING_STORE = \"prometheus://emporium:$password@$2\"" ;;
  esac
}

say_next() {
  local options=""
  [ "$shop_port" = 8080 ] || options+=" --port $shop_port"
  if [ "$(id -u)" = 0 ]; then [ "$shop_data" = /var/lib/emporium ] || options+=" --data-dir $shop_data"
  else [ "$shop_data" = "${XDG_DATA_HOME:-${HOME:-}/.local/share}/emporium" ] || options+=" --data-dir $shop_data"; fi
  echo "all: ready. Start the shop:"
  echo "  cargo run --release -- --stores $settings$options"
}

# Ends the servers named, all at once.
end() {
  local server
  for server in "$@"; do
    exec_one "$server" stop >/dev/null &
  done
  wait
}

# One at a time works on a set.
take_set() {
  need flock "apt-get install util-linux"
  need curl "apt-get install curl"
  mkdir -p "$data" 2>/dev/null && [ -w "$data" ] || fail "cannot write into the folder $data: set DATA"
  # Elasticsearch, started by root, runs as somebody who has to pass.
  [ "$(id -u)" != 0 ] || chmod a+x "$data"
  exec 8>"$data/set.lock"
  flock -n 8 || fail "another command is at work on the set in $data; wait for it"
}

# give_up SERVER...: ends what this start has begun, servers and downloads.
give_up() {
  local job
  trap '' HUP INT TERM
  for job in "${at_work[@]}"; do
    kill -- "-$job" 2>/dev/null || true
  done
  wait
  end "$@"
  echo "all: nothing that this start began is left running" >&2
  exit 1
}

start_set() {
  take_set
  find_password
  local todo
  readarray -t todo < <(missing)
  if [ ${#todo[@]} = 0 ]; then
    echo "all: runs already"
    say_next
    return
  fi
  check_ground "${todo[@]}"
  # shellcheck disable=SC2064 # as they are now
  trap "give_up ${todo[*]}" HUP INT TERM
  in_parallel install "still installing" "${todo[@]}" || fail "not installed; see above. Nothing was started"
  echo "all: starting ${todo[*]}"
  in_parallel start "still starting" "${todo[@]}" || give_up "${todo[@]}"
  write_settings
  trap - HUP INT TERM
  say_next
}

# In the foreground, until somebody presses Ctrl-C. A server that ends by itself is told, once; the others go on.
run_set() {
  start_set
  flock -u 8 # `start` may bring one back that has ended
  exec 8>&-
  local stop_now= server
  declare -A told=()
  trap 'stop_now=yes' HUP INT TERM
  echo "all: Ctrl-C ends the servers"
  while [ -z "$stop_now" ]; do
    for server in "${servers[@]}"; do
      if runs "$server"; then
        unset "told[$server]"
      elif [ -z "${told[$server]:-}" ]; then
        told[$server]=yes
        echo "all: $server has ended; \`$(basename "${BASH_SOURCE[0]}") start\` starts it again" >&2
      fi
    done
    sleep 0.5 || true
  done
  trap '' HUP INT TERM
  echo "all: stopping"
  end "${servers[@]}"
}

at_work=()
check_settings
case ${1:-} in
  install)
    in_parallel install "still installing" "${servers[@]}" || fail "not everything could be installed; see above"
    echo "all: everything is installed"
    ;;
  run) run_set ;;
  start) start_set ;;
  stop)
    take_set
    end "${servers[@]}"
    echo "all: stopped"
    ;;
  status)
    result=0
    for server in "${servers[@]}"; do
      if runs "$server"; then
        echo "$server: runs, process $(head -1 "$data/$server/server.pid"), port $(sed -n 3p "$data/$server/server.pid")"
      else
        echo "$server: does not run"
        result=1
      fi
    done
    exit "$result"
    ;;
  *)
    sed -n 2,12p "${BASH_SOURCE[0]}"
    exit 2
    ;;
esac
