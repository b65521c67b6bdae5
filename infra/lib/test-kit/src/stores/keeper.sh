# Ends what a test process started, when that process is gone: its end closes this one's standard input.
# Arguments: the folder of the process's data. Input, a line each: "+ GROUP" a process group it has now,
# "- GROUP" one it has no more, "c CONTAINER" a container it has now, "r CONTAINER" one it has no more.
trap '' HUP INT TERM
groups=' ' containers=' '
while read -r change name; do
  case $change in
    +) groups="$groups$name " ;;
    -) groups=${groups%%" $name "*}' '${groups#*" $name "} ;;
    c) containers="$containers$name " ;;
    r) containers=${containers%%" $name "*}' '${containers#*" $name "} ;;
  esac
done
for group in $groups; do
  kill -s KILL -- "-$group"
done
for container in $containers; do
  docker rm --force --volumes "$container"
done
# A killed server may still hold a file for a moment.
rm -rf -- "$1" || { sleep 1; rm -rf -- "$1"; }
