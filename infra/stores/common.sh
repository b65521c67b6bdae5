# Shared by the store scripts beside it; sourced, not run.
#
# A store script has the same commands every time:
#   install   puts the server into the cache folder (once), prints the path of what it starts
#   run       starts the server in the foreground (exec), for a caller that owns the process
#   start     starts it in the background and waits until it answers
#   stop      ends it by its process id
#   status    says whether it runs
# All servers bind to 127.0.0.1. Folders: EMPORIUM_STORES_HOME (default: the platform's cache folder, /var/cache for root).

set -euo pipefail

if [ "$(id -u)" = 0 ]; then
  stores_home=${EMPORIUM_STORES_HOME:-/var/cache/emporium/stores}
else
  stores_home=${EMPORIUM_STORES_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/emporium/stores}
fi

# One clear line, and out.
fail() {
  echo "$store: $*" >&2
  exit 1
}

need() {
  command -v "$1" >/dev/null || fail "needs $1 ($2)"
}

# with_install_lock COMMAND: gives it the empty folder $work. Two test runs may want the same store at once: the second
# one waits for the first one's install. Runs in a shell of its own, so that lock and folder go whatever happens.
with_install_lock() (
  need flock "apt-get install util-linux"
  umask 022 # root's servers run as another user
  mkdir -p "$stores_home"
  exec 9>"$stores_home/$store.lock"
  flock 9
  rm -rf "$stores_home/unpack-$store-"* # of one that was killed
  work=$(mktemp -d "$stores_home/unpack-$store-XXXXXX")
  trap 'rm -rf "$work"' EXIT
  trap 'exit 1' HUP INT TERM
  "$@" 9>&-
)

# newest_jdk PROGRAM MIN: prints the home of the newest installed JDK of at least this major version that has the program (a
# runtime has `java`, but no `jar`); fails when there is none.
newest_jdk() {
  local newest=0 found= release major
  for release in "${JAVA_HOME:-/nonexistent}"/release /usr/lib/jvm/*/release; do
    [ -r "$release" ] && [ -x "$(dirname "$release")/bin/$1" ] || continue
    major=$(sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$release")
    if [ "${major:-0}" -ge "$2" ] && [ "$major" -gt "$newest" ]; then
      newest=$major found=$(dirname "$release")
    fi
  done
  [ -n "$found" ] && echo "$found"
}

# absolute PATH: the same seen from anywhere; servers change into their folder.
absolute() {
  case $1 in
    /*) echo "$1" ;;
    *) echo "$PWD/$1" ;;
  esac
}

# answers PORT: does something listen there?
answers() {
  (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# in_background PIDFILE LOG SECONDS_MAX CHECK COMMAND...: starts the command, waits until CHECK succeeds.
in_background() {
  local pid_file=$1 log=$2 seconds_max=$3 check=$4
  shift 4
  if running "$pid_file"; then
    echo "$store: runs already, process $(head -1 "$pid_file")"
    return
  fi
  # Whoever is there would be taken for the server that is to be started.
  if $check; then
    fail "port $port is in use by another server; choose one with PORT"
  fi
  setsid "$@" >"$log" 2>&1 </dev/null &
  local pid=$!
  printf '%s\n%s\n%s\n' "$pid" "$(begin_of "$pid")" "$port" >"$pid_file"
  for _ in $(seq 1 $((seconds_max * 10))); do
    if $check; then
      echo "$store: ready, process $pid"
      return
    fi
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  tail -5 "$log" >&2
  rm -f "$pid_file"
  kill "$pid" 2>/dev/null || true
  fail "did not become ready; its log is $log"
}

# When a process began. It tells a server from a stranger that has got its process id since. Nothing for one that has
# ended and that nobody has asked about yet (a zombie), as in a container whose first process asks about none.
begin_of() {
  LC_ALL=C ps -o stat=,lstart= -p "$1" 2>/dev/null | sed '/^Z/d; s/^[^ ]* *//'
}

running() {
  local pid began
  [ -s "$1" ] && { read -r pid && read -r began; } <"$1" && [ "$(begin_of "$pid")" = "$began" ]
}

# stop_process PIDFILE: asks politely for 30 s, then insists.
stop_process() {
  if ! running "$1"; then
    rm -f "$1"
    echo "$store: does not run"
    return
  fi
  local pid
  pid=$(head -1 "$1")
  kill "$pid"
  for _ in $(seq 1 300); do
    if [ -z "$(begin_of "$pid")" ]; then
      rm -f "$1"
      return
    fi
    sleep 0.1
  done
  kill -KILL "$pid"
  rm -f "$1"
}

say_status() {
  if running "$1"; then
    echo "$store: runs, process $(head -1 "$1"), port $(sed -n 3p "$1")"
  else
    echo "$store: does not run"
    return 1
  fi
}
