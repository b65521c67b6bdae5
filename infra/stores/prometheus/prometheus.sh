#!/usr/bin/env bash
# A real Prometheus server without Docker: prometheus.sh install | run | start | stop | status | promtool
#
# Settings: PORT (9090), DATA (folder of its data and configuration), TARGETS_URL (the monitoring service's list of
# targets; none: nothing is scraped) and TARGETS_TOKEN_FILE (file with the bearer token for it), SCRAPE_INTERVAL (5s),
# SCRAPE_TIMEOUT (2s), RETENTION (400d: 13 months), RULES (rules.yml beside this file; `none`), PASSWORD (of the user
# `emporium`; none), REMOTE_WRITE (no | yes: others may write points) and OUT_OF_ORDER (0s: how much older than the newest
# point of its series a point may be). What each setting of the server is for: prometheus.yml.
# FLAVOUR is where the server comes from: `installed` (a prometheus 3.16 or newer on the PATH), `built` (3.16, from its Go
# module with an installed Go: some minutes, once) or `debian` (the package of Debian 12 or newer, unpacked without root and
# without starting its service; one on the PATH if that is 2.42 or newer); unset: the first of them that this machine has.
# Only 3.16 and newer count exactly; see docs/src/stores/prometheus.md.
store=prometheus
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../common.sh"

port=${PORT:-9090}
data=$(absolute "${DATA:-$stores_home/data/prometheus-$port}")
pid_file=$data/server.pid
user=emporium
exact_since="3 16"
built_home=$stores_home/prometheus-3.16.0
debian_home=$stores_home/prometheus-debian
# The server changes into the folder of its data.
token_file=$(absolute "${TARGETS_TOKEN_FILE:-none}")
rules=$(absolute "${RULES:-$here/rules.yml}")
[ "${RULES:-}" != none ] || rules=none

# is_new_enough BINARY MAJOR MINOR
is_new_enough() {
  local version major minor
  version=$("$1" --version 2>&1 | sed -n 's/^prometheus, version \([0-9]*\)\.\([0-9]*\).*/\1 \2/p')
  read -r major minor <<<"$version" || return 1
  [ "${major:-0}" -gt "$2" ] || { [ "${major:-0}" = "$2" ] && [ "${minor:-0}" -ge "$3" ]; }
}

unpack_package() {
  [ ! -x "$debian_home/prometheus" ] || return 0
  # apt checks the package against the distribution's signed index, so no sum of it stands here.
  (cd "$work" && apt-get -q -o APT::Sandbox::User= download prometheus) >&2 ||
    fail "cannot download Debian's package (apt-get update, or put a prometheus 3.16 or newer on the PATH)"
  dpkg-deb -x "$work"/prometheus_*.deb "$work/package" >&2 || fail "the package cannot be unpacked"
  is_new_enough "$work/package/usr/bin/prometheus" 2 42 ||
    fail "this distribution's package is older than 2.42, or does not run here: put a newer prometheus on the PATH"
  keep "$work/package/usr/bin" "$debian_home"
}

build_module() {
  [ ! -x "$built_home/prometheus" ] || return 0
  need go "install Go 1.26.7 or newer, or choose another FLAVOUR"
  echo "$store: building 3.16 from its Go module; this takes some minutes, once" >&2
  # go checks each module against the public checksum database. Of the kinds of discovery only lists by HTTP or in a file
  # are kept: the others are clients of every cloud there is.
  local source=github.com/prometheus/prometheus
  GOPATH=$work/go GOBIN=$work/bin GOCACHE=$work/cache GOFLAGS=-modcacherw nice -n 19 go install -trimpath \
    -tags remove_all_sd,netgo -ldflags "-s -w -X github.com/prometheus/common/version.Version=3.16.0" \
    "$source/cmd/prometheus@v0.316.0" "$source/cmd/promtool@v0.316.0" >&2 || fail "cannot be built; see above"
  keep "$work/bin" "$built_home"
}

# keep FOLDER HOME: puts the programs in it where they stay. The server last, and renamed into place: it says that all is there.
keep() {
  mkdir -p "$2"
  mv "$1/promtool" "$2/promtool"
  mv "$1/prometheus" "$2/prometheus"
}

# on_path MAJOR MINOR: prints the path of the installed server, if it is new enough.
on_path() {
  local found
  found=$(command -v prometheus) && is_new_enough "$found" "$@" && echo "$found"
}

# Prints the server's path.
server_path() {
  # shellcheck disable=SC2086 # two words
  case ${FLAVOUR:-} in
    installed) on_path $exact_since || fail "there is no prometheus 3.16 or newer on the PATH; choose another FLAVOUR" ;;
    built) built_path ;;
    debian) debian_path ;;
    '')
      if on_path $exact_since; then
        return
      elif [ -x "$built_home/prometheus" ] || command -v go >/dev/null; then
        built_path
      else
        echo "$store: neither prometheus 3.16 nor Go is here; taking an older server, whose increases are extrapolated" >&2
        debian_path
      fi
      ;;
    *) fail "unknown FLAVOUR '$FLAVOUR': installed, built or debian" ;;
  esac
}

built_path() {
  [ -x "$built_home/prometheus" ] || with_install_lock build_module
  echo "$built_home/prometheus"
}

debian_path() {
  if on_path 2 42; then
    return
  elif [ ! -x "$debian_home/prometheus" ]; then
    need apt-get "or install Go, or put a prometheus 3.16 or newer on the PATH"
    need dpkg-deb "apt-get install dpkg"
    with_install_lock unpack_package
  fi
  echo "$debian_home/prometheus"
}

# The tool that checks and tests rules; it comes with the server.
promtool_path() {
  local server
  server=$(server_path)
  [ -x "$(dirname "$server")/promtool" ] || fail "there is no promtool beside $server"
  echo "$(dirname "$server")/promtool"
}

# plain NAME VALUE: what goes into the configuration needs no quoting there.
plain() {
  case $2 in *[!A-Za-z0-9_:/.@=?%-]*) fail "$1 has a character that this script cannot pass on" ;; esac
}

# The password's bcrypt hash, which is all that the server keeps. Through standard input: anybody may read a command line.
hashed() {
  need perl "apt-get install perl-base"
  printf '%s' "$PASSWORD" | perl -e '
    open(my $random, "<", "/dev/urandom") or die; read($random, my $bytes, 22) == 22 or die;
    my @letters = (".", "/", "A".."Z", "a".."z", 0..9);
    my $salt = join "", map { $letters[ord($_) & 63] } split //, $bytes;
    # The last letter of a bcrypt salt holds two bits only.
    substr($salt, 21, 1) = (".", "O", "e", "u")[ord(substr($bytes, 21, 1)) & 3];
    my $hash = crypt(do { local $/; <STDIN> }, "\$2b\$10\$$salt");
    print $hash if defined $hash && length $hash == 60;'
}

# configure SERVER
configure() {
  local drop=() old=()
  plain TARGETS_URL "${TARGETS_URL:-}"
  plain TARGETS_TOKEN_FILE "$token_file"
  plain SCRAPE_INTERVAL "${SCRAPE_INTERVAL:-}"
  plain SCRAPE_TIMEOUT "${SCRAPE_TIMEOUT:-}"
  plain OUT_OF_ORDER "${OUT_OF_ORDER:-}"
  case ${PASSWORD:-} in *[!A-Za-z0-9_-]*) fail "PASSWORD may have letters, digits, - and _ only" ;; esac
  [ -n "${TARGETS_URL:-}" ] || drop+=(-e '/^ *# discovery/,/^ *# end of discovery/d')
  [ -n "${TARGETS_TOKEN_FILE:-}" ] || drop+=(-e '/^ *# authorisation/,/^ *# end of authorisation/d')
  if [ "$rules" = none ]; then
    drop+=(-e '/^rule_files/d')
  else
    # shellcheck disable=SC2086 # two words
    is_new_enough "$1" $exact_since ||
      old=(-e 's/\] anchored/]/' -e 's/\[1m\]/[59s999ms]/' -e 's/\[1h\]/[59m30s]/')
    sed "${old[@]}" -e '' "$rules" >"$data/rules.yml" || fail "cannot read the rules in $rules"
  fi
  sed "${drop[@]}" -e "s|@TARGETS_URL@|${TARGETS_URL:-}|" \
    -e "s|@TARGETS_TOKEN_FILE@|$token_file|" \
    -e "s|@SCRAPE_INTERVAL@|${SCRAPE_INTERVAL:-5s}|" -e "s|@SCRAPE_TIMEOUT@|${SCRAPE_TIMEOUT:-2s}|" \
    -e "s|@OUT_OF_ORDER@|${OUT_OF_ORDER:-0s}|" "$here/prometheus.yml" >"$data/prometheus.yml"
  : >"$data/web.yml"
  chmod 600 "$data/web.yml"
  if [ -n "${PASSWORD:-}" ]; then
    local hash
    hash=$(hashed)
    [ -n "$hash" ] || fail "this system's crypt has no bcrypt, so PASSWORD cannot be used"
    printf 'basic_auth_users:\n  %s: %s\n' "$user" "$hash" >"$data/web.yml"
  fi
}

run() {
  local server options=()
  server=$(server_path)
  mkdir -p "$data"
  # Debian's build does not lock its folder, and two servers in one would ruin it. The lock is the server's until it ends.
  need flock "apt-get install util-linux"
  exec 8>"$data/run.lock"
  flock -n 8 || fail "another server has the folder $data; choose one with DATA"
  configure "$server"
  case ${REMOTE_WRITE:-no} in
    yes) options+=(--web.enable-remote-write-receiver) ;;
    no) ;;
    *) fail "unknown REMOTE_WRITE '$REMOTE_WRITE': yes or no" ;;
  esac
  cd "$data"
  # A question may read 20 million points and take 10 s; the service asks for less and waits for less.
  exec "$server" --config.file="$data/prometheus.yml" --web.config.file="$data/web.yml" \
    --web.listen-address="127.0.0.1:$port" --storage.tsdb.path="$data/tsdb" \
    --storage.tsdb.retention.time="${RETENTION:-400d}" --query.max-samples=20000000 --query.timeout=10s \
    "${options[@]}"
}

ready() {
  { [ -z "${PASSWORD:-}" ] || printf 'user = "%s:%s"\n' "$user" "$PASSWORD"; } |
    curl --config - --fail --silent --max-time 2 --output /dev/null "http://127.0.0.1:$port/-/ready"
}

case ${1:-} in
  install) server_path ;;
  promtool) promtool_path ;; # where the tool is that checks and tests rules
  run) run ;;
  start)
    need curl "apt-get install curl"
    server_path >/dev/null
    mkdir -p "$data"
    in_background "$pid_file" "$data/server.log" 60 ready bash "${BASH_SOURCE[0]}" run
    ;;
  stop) stop_process "$pid_file" ;;
  status) say_status "$pid_file" ;;
  *)
    sed -n 2,12p "${BASH_SOURCE[0]}"
    exit 2
    ;;
esac
