#!/usr/bin/env bash
# Hosts on one machine: h1, h2, ... each with a network, names, processes, /dev/shm and an sshd of
# its own, joined by a switch.
#
#   netlab.sh FOLDER run N              makes N hosts, prints "ready", and keeps them until its standard input ends
#   netlab.sh FOLDER exec hK COMMAND... runs a command on a host
#   netlab.sh FOLDER link hK up|down    a host's cable, pulled or not; the host sees that its carrier is gone
#   netlab.sh FOLDER blackhole hK on|off   a host's packets vanish in the switch; the host sees nothing
#   netlab.sh FOLDER wan hK DELAY LOSS  delays a host's packets by milliseconds and loses some of a thousand, both ways
#   netlab.sh FOLDER wan hK off
#   netlab.sh FOLDER kill hK            as if the host lost power
#
# FOLDER keeps keys, configuration and process ids; FOLDER/ssh is an ssh that knows the hosts and
# runs on any of them. Needs root, ip, unshare, nsenter, sshd, ssh-keygen; wan also a C compiler and
# /dev/net/tun.
#
# The switch is the first process of a process namespace, every host is the first process of one
# within that. When the switch ends, for whatever reason, the kernel ends all processes of all
# hosts, and with them goes every namespace, interface and mount: nothing is made that has a name on
# the machine itself. Addresses: hK is 10.77.0.K and fd00:77::K, in every lab, since labs do not
# meet.
set -u

die() { echo "netlab: $*" >&2; exit 1; }
[ $# -ge 2 ] && folder=$(realpath -e "$1") || die "usage: $0 FOLDER run|exec|link|blackhole|wan|kill ... (see the beginning of this file)"
script=$(realpath -e "$0")
command=$2
shift 2

number() { # of a host
    [[ $1 =~ ^h([1-9][0-9]*)$ ]] && [ -f "$folder/$1.pid" ] || die "there is no host '$1'"
    echo "${BASH_REMATCH[1]}"
}

# This process's id as the machine sees it. /proc is still the machine's when this is called.
outer_pid() {
    local pid
    read -r pid _ </proc/self/stat
    echo "$pid"
}

# What is written to FOLDER once for all hosts.
configure() {
    local hosts=$1 i public
    ssh-keygen -q -t ed25519 -N '' -C netlab -f "$folder/key" || die "ssh-keygen made no key"
    public=$(cut -d' ' -f1,2 "$folder/key.pub")
    {
        echo '127.0.0.1 localhost'
        echo '::1 localhost'
        for ((i = 1; i <= hosts; i++)); do
            echo "10.77.0.$i h$i"
            echo "fd00:77::$i h$i h$i-six"
        done
    } >"$folder/hosts"
    for ((i = 1; i <= hosts; i++)); do
        echo "h$i,h$i-six,10.77.0.$i,fd00:77::$i $public"
    done >"$folder/known_hosts"
    cat >"$folder/ssh_config" <<END
Host *
  User root
  IdentityFile $folder/key
  IdentitiesOnly yes
  UserKnownHostsFile $folder/known_hosts
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  BatchMode yes
  LogLevel ERROR
END
    printf '#!/bin/sh\nexec %s -F %s/ssh_config "$@"\n' "$(command -v ssh)" "$folder" >"$folder/ssh"
    chmod 755 "$folder/ssh"
    # The same key identifies hosts and the one who comes to them.
    cat >"$folder/sshd_config" <<END
AddressFamily any
HostKey $folder/key
PidFile none
AuthorizedKeysFile $folder/key.pub
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
UseDNS no
MaxStartups 200
MaxSessions 200
PrintMotd no
SetEnv PATH=$PATH
END
}

wait_for() { # a condition, for at most 10 s
    local tries
    for tries in {1..500}; do
        "$@" && return 0
        sleep 0.02
    done
    return 1
}

# The first process of a host; its parent is the switch.
host() {
    local i=$1 name=h$1
    outer_pid >"$folder/$name.starting"
    # Its end of the cable comes from the switch.
    wait_for ip link show eth0 >/dev/null 2>&1 || die "$name got no interface"
    mount -t proc proc /proc
    mount -t tmpfs -o mode=1777 tmpfs /dev/shm
    # What runs on the machine itself must not be found: neither its sshd nor its daemon for names.
    mount -t tmpfs -o mode=755 tmpfs /run
    mkdir /run/sshd
    mount --bind "$folder/hosts" /etc/hosts
    hostname "$name"
    ip link set lo up
    ip addr add "10.77.0.$i/24" dev eth0
    ip addr add "fd00:77::$i/64" dev eth0 nodad
    ip link set eth0 up
    "$(command -v sshd || echo /usr/sbin/sshd)" -D -e -f "$folder/sshd_config" 2>"$folder/$name.sshd" &
    wait_for bash -c ': </dev/tcp/10.77.0.'"$i"'/22' 2>/dev/null || die "no sshd on $name: $(cat "$folder/$name.sshd")"
    sleep infinity &
    # Nothing is started any more: what is new on the host from now on is somebody else's.
    mv "$folder/$name.starting" "$folder/$name.pid"
    # Here to reap what others leave, as the first process of a host does.
    wait
}

# The first process of a lab: the switch, and parent of the hosts. Ends with its standard input.
switch() {
    local hosts=$1 i pid
    outer_pid >"$folder/switch.pid"
    ip link set lo up
    ip link add switch type bridge
    ip link set switch up
    for ((i = 1; i <= hosts; i++)); do
        unshare --net --uts --ipc --mount --pid --fork --kill-child "$script" "$folder" host "$i" </dev/null 2>"$folder/h$i.log" &
    done
    for ((i = 1; i <= hosts; i++)); do
        wait_for [ -s "$folder/h$i.starting" ] || die "h$i does not start: $(cat "$folder/h$i.log")"
        # The kernel takes a process id as this process namespace counts: the last but one, the last
        # being 1, the host's own.
        pid=$(awk '/^NSpid:/ { print $(NF - 1) }' "/proc/$(<"$folder/h$i.starting")/status")
        ip link add "port$i" type veth peer name eth0 netns "$pid" || die "h$i gets no cable"
        ip link set "port$i" master switch up
    done
    for ((i = 1; i <= hosts; i++)); do
        wait_for [ -s "$folder/h$i.pid" ] || die "h$i does not come up: $(cat "$folder/h$i.log")"
    done
    echo ready
    while read -r _; do :; done
}

# Runs a command in the switch's network.
at_switch() { nsenter -t "$(<"$folder/switch.pid")" --net "$@"; }

# The switch's end of a host's cable: the far end of the long wire, if there is one.
port() {
    if at_switch ip link show "far$1" >/dev/null 2>&1; then echo "far$1"; else echo "port$1"; fi
}

wan() {
    local i=$1 wire=$folder/h$1.wire
    if [ -f "$wire" ]; then
        kill "$(<"$wire")"
        rm "$wire"
        wait_for at_switch bash -c "! ip link show far$i >/dev/null 2>&1" || die "the wire of h$i does not go"
    fi
    if [ "$2" = off ]; then
        at_switch ip link set "port$i" master switch
        return
    fi
    [ -x "$folder/wire" ] || "${CC:-cc}" -O2 -o "$folder/wire" "$(dirname "$script")/wire.c" || die "cannot build wire.c"
    at_switch ip link set "port$i" nomaster
    # In the lab's process namespace, so that it ends with the lab.
    nsenter -t "$(<"$folder/switch.pid")" --net --pid "$folder/wire" "port$i" "far$i" $(($2 * 1000)) "$3" \
        </dev/null >/dev/null 2>"$folder/h$i.wire-log" &
    wait_for at_switch ip link show "far$i" >/dev/null 2>&1 || die "no wire for h$i: $(cat "$folder/h$i.wire-log")"
    # nsenter waits for the wire; its child is the wire.
    pgrep -P $! >"$wire"
    at_switch ip link set "far$i" master switch up
}

case $command in
run)
    [[ ${1:-} =~ ^[1-9][0-9]*$ ]] || die "how many hosts?"
    configure "$1"
    exec unshare --net --mount --pid --fork --kill-child "$script" "$folder" switch "$1"
    ;;
switch | host) "$command" "$1" ;;
exec)
    number "$1" >/dev/null
    pid=$(<"$folder/$1.pid")
    shift
    exec nsenter -t "$pid" --net --uts --ipc --mount --pid -- env -C "$PWD" "$@"
    ;;
link)
    i=$(number "$1") || exit
    at_switch ip link set "port$i" "$2"
    ;;
blackhole)
    i=$(number "$1") || exit
    if [ "$2" = on ]; then at_switch ip link set "$(port "$i")" nomaster; else at_switch ip link set "$(port "$i")" master switch; fi
    ;;
wan)
    i=$(number "$1") || exit
    wan "$i" "${2:?}" "${3:-0}"
    ;;
kill)
    number "$1" >/dev/null
    kill -KILL "$(<"$folder/$1.pid")"
    ;;
*) die "unknown command '$command'" ;;
esac
