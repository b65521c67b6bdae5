#!/usr/bin/env bash
# A real Neo4j Community server without Docker: neo4j.sh install | run | start | stop | status
#
# Settings: PORT (7687, of Bolt), HTTP_PORT (PORT - 213: 7474), DATA (folder of its data, logs and configuration), HEAP
# (512m), PAGECACHE (128m), PASSWORD (of the user `neo4j`; none: security is off), VERSION (2026.08.1, which needs a JDK 21
# or newer; 5.26.30, which runs on 17; unset: the first for which there is a JDK). What each setting of the server is for:
# neo4j.conf. The server comes from Maven's central repository. It runs as whoever starts it, root too.
store=neo4j
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../common.sh"

port=${PORT:-7687}
data=$(absolute "${DATA:-$stores_home/data/neo4j-$port}")
pid_file=$data/server.pid

# Which version, on which JDK.
choose() {
  version=${VERSION:-2026.08.1}
  case $version in
    2026.08.1) java_min=21 main=Neo4jCommunity jars_sha256=59697f0d0a88b98f5dcef07afe38f68cd740276f89a36856358e4e0d6fb39d60 ;;
    5.26.30) java_min=17 main=CommunityEntryPoint jars_sha256=b39dcc8742460b796812b2494bde19cb6474ab73862fe3ac9af878e5012afeb8 ;;
    *) fail "unknown VERSION '$version': 2026.08.1 or 5.26.30" ;;
  esac
  home=$stores_home/neo4j-$version
  java=$(newest_jdk java $java_min) && return 0
  if [ -z "${VERSION:-}" ]; then
    newest_jdk java 17 >/dev/null || fail "needs a JDK 21 or newer, or 17 for version 5.26.30 (set JAVA_HOME, or install one below /usr/lib/jvm)"
    echo "$store: no JDK $java_min or newer is installed: taking version 5.26.30 instead of $version" >&2
    VERSION=5.26.30
    choose
    return
  fi
  fail "needs a JDK $java_min or newer (set JAVA_HOME, or install one below /usr/lib/jvm; Debian 12 has 17, Debian 13 has 21)"
}

unpack_jars() {
  [ ! -e "$home/.complete" ] || return 0
  need mvn "apt-get install maven"
  echo "$store: downloading $version (150 MB)" >&2
  sed "s|@VERSION@|$version|" "$here/pom.xml" >"$work/pom.xml"
  mkdir -p "$work/server"
  # A repository of its own, thrown away afterwards, so that what is checked is what was fetched.
  mvn --batch-mode --quiet -Dstyle.color=never --strict-checksums --file "$work/pom.xml" -Dmaven.repo.local="$work/repository" \
    org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies -DincludeScope=runtime \
    -DoutputDirectory="$work/server/lib" >&2 || fail "cannot download it with mvn; is the repository reachable?"
  # The sum of all jars' sums.
  (cd "$work/server/lib" && LC_ALL=C && sha256sum -- * | sha256sum | cut -d' ' -f1) >"$work/sum"
  [ "$(cat "$work/sum")" = "$jars_sha256" ] || fail "the download is not the one expected: its jars sum up to $(cat "$work/sum")"
  chmod -R a+rX "$work/server"
  touch "$work/server/.complete"
  rm -rf "$home"
  mv "$work/server" "$home"
}

install_server() {
  choose
  [ -e "$home/.complete" ] || with_install_lock unpack_jars
}

plain_word() {
  case $2 in *[!A-Za-z0-9_-]*) fail "$1 may have letters, digits, - and _ only" ;; esac
}

# The folder's version and password are those of its first start.
keep() {
  local name=$1 value=$2
  [ -e "$data/$name" ] || (umask 077 && echo "$value" >"$data/$name")
  [ "$(cat "$data/$name")" = "$value" ] || fail "the folder $data was made with another $name: set DATA, or remove it"
}

configure() {
  local security=false
  case $data in *[\&\|\\]*) fail "the folder $data has a character in its name that this script cannot pass on" ;; esac
  plain_word PASSWORD "${PASSWORD:-}"
  [ -z "${PASSWORD:-}" ] || security=true
  mkdir -p "$data"/{conf,data,logs,run,import,plugins,licenses,tmp}
  keep VERSION "$version"
  # The sum, so that the password is in no file.
  keep PASSWORD "$(printf %s "${PASSWORD:-}" | sha256sum | cut -d' ' -f1)"
  sed -e "s|@DATA@|$data|; s|@PORT@|$port|; s|@HTTP_PORT@|${HTTP_PORT:-$((port - 213))}|; s|@SECURITY@|$security|" \
    -e "s|@PAGECACHE@|${PAGECACHE:-128m}|" "$here/neo4j.conf" >"$data/conf/neo4j.conf"
  case $version in 5.*) sed -i '/fleet/d' "$data/conf/neo4j.conf" ;; esac
}

# What the server's own start script would give, and nothing else.
command_line() {
  environment=(env -i PATH="$PATH" HOME="$data/tmp" NEO4J_HOME="$data" NEO4J_CONF="$data/conf")
  java_options=(-cp "$home/lib/*" -Djava.io.tmpdir="$data/tmp" -Dfile.encoding=UTF-8 --enable-native-access=ALL-UNNAMED)
  local package
  for package in java.nio java.io sun.nio.ch java.util.concurrent java.lang; do
    java_options+=("--add-opens=java.base/$package=ALL-UNNAMED")
  done
}

# Once, before the first start. By way of a file, since anybody may read a command line.
set_password() {
  [ ! -e "$data/data/dbms/auth.ini" ] || return 0
  (umask 077 && echo "$PASSWORD" >"$data/tmp/password")
  "${environment[@]}" "$java/bin/java" -Xmx128m -XX:+UseSerialGC "${java_options[@]}" org.neo4j.cli.AdminTool \
    dbms set-initial-password "@$data/tmp/password" >"$data/logs/password.log" 2>&1 ||
    fail "cannot set the password; see $data/logs/password.log"
  rm "$data/tmp/password"
}

run() {
  install_server
  mkdir -p "$data"
  configure
  command_line
  cd "$data"
  [ -z "${PASSWORD:-}" ] || set_password
  exec "${environment[@]}" "$java/bin/java" "-Xms${HEAP:-512m}" "-Xmx${HEAP:-512m}" -XX:+UseG1GC \
    -XX:-OmitStackTraceInFastThrow -XX:+ExitOnOutOfMemoryError -Dio.netty.tryReflectionSetAccessible=true \
    "${java_options[@]}" "org.neo4j.server.$main" --home-dir="$data" --config-dir="$data/conf" --console-mode
}

# It answers a statement. The password goes through standard input.
ready() {
  printf 'user = "neo4j:%s"\n' "${PASSWORD:-}" |
    curl --config - --fail --silent --max-time 2 --output /dev/null --header 'content-type: application/json' \
      --data '{"statement": "RETURN 1"}' \
      "http://127.0.0.1:${HTTP_PORT:-$((port - 213))}/db/neo4j/query/v2"
}

case ${1:-} in
  install)
    install_server
    echo "$home"
    ;;
  run) run ;;
  start)
    need curl "apt-get install curl"
    install_server
    mkdir -p "$data"
    in_background "$pid_file" "$data/console.log" 240 ready bash "${BASH_SOURCE[0]}" run
    ;;
  stop) stop_process "$pid_file" ;;
  status) say_status "$pid_file" ;;
  *)
    sed -n 2,8p "${BASH_SOURCE[0]}"
    exit 2
    ;;
esac
