#!/usr/bin/env bash
# A real Redis Cluster of three nodes without replicas: cluster.sh start | stop | status
#
# Settings: PORT of the first node (6379; the others have the next two), DURABILITY, FLAVOUR and PASSWORD as in redis.sh.
# A cluster forms once and remembers it in its nodes' folders: a later start finds all there.
store=redis-cluster
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../common.sh"

port=${PORT:-6379}
ports=("$port" $((port + 1)) $((port + 2)))
slots=("0 5460" "5461 10922" "10923 16383")

# node PORT VERB
node() {
  PORT=$1 CLUSTER=yes DATA=$stores_home/data/cluster-${FLAVOUR:-redis}-$port/$1 bash "$here/redis.sh" "$2"
}

# ask PORT COMMAND...: prints a node's answer to a command, given as one line as Redis allows it (no client is needed).
ask() (
  exec 3<>"/dev/tcp/127.0.0.1/$1"
  [ -z "${PASSWORD:-}" ] || printf 'AUTH %s\r\n' "$PASSWORD" >&3
  printf '%s\r\nQUIT\r\n' "${*:2}" >&3
  tr -d '\r' <&3
)

formed() {
  ask "$1" CLUSTER INFO | grep -q '^cluster_state:ok' && ask "$1" CLUSTER INFO | grep -q '^cluster_known_nodes:3'
}

wait_formed() {
  for _ in $(seq 1 300); do
    if formed "${ports[0]}" && formed "${ports[1]}" && formed "${ports[2]}"; then
      echo "$store: ready, redis://127.0.0.1:$port"
      return
    fi
    sleep 0.1
  done
  fail "did not form; $(ask "$port" CLUSTER INFO | grep '^cluster_state')"
}

# Gives each node its third of the slots and introduces it to the first one.
form() {
  local index answers
  for index in 0 1 2; do
    answers=$(
      if ask "${ports[index]}" CLUSTER INFO | grep -q '^cluster_slots_assigned:0'; then
        # Epochs differ from the start, so that the nodes need not settle whose slots are newer.
        ask "${ports[index]}" CLUSTER SET-CONFIG-EPOCH $((index + 1))
        ask "${ports[index]}" CLUSTER ADDSLOTSRANGE ${slots[index]}
      fi
      [ "$index" = 0 ] || ask "${ports[index]}" CLUSTER MEET 127.0.0.1 "$port"
    )
    if grep '^-' <<<"$answers" >&2; then
      fail "node ${ports[index]} cannot join"
    fi
  done
}

each() {
  local result=0 one
  for one in "${ports[@]}"; do
    node "$one" "$1" || result=1
  done
  return "$result"
}

case ${1:-} in
  start)
    each start
    form
    wait_formed
    ;;
  stop) each stop ;;
  status) each status ;;
  *)
    sed -n 2,5p "${BASH_SOURCE[0]}"
    exit 2
    ;;
esac
