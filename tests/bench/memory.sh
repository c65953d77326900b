# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# How much resident memory a server takes for a connection that has done one
# request and is idle, and for a request that waits. Each figure comes from a
# fresh server, so that memory freed by one measurement cannot hide the next.

IDLE=5000 # these, or what the limit of open files permits
WAITING=10000

resident() { # NAME: bytes; smaps_rollup is exact where VmRSS may lag
    local pid files=()
    for pid in $(with_children "$1"); do files+=("/proc/$pid/smaps_rollup"); done
    awk '/^Rss:/ { kb += $2 } END { printf "%.0f\n", kb * 1024 }' "${files[@]}"
}

settled() { # NAME: resident bytes, once a second brings no change above 1 %
    local before=0 after try
    for try in {1..8}; do
        after=$(resident "$1")
        (((after - before) * 100 <= after && (before - after) * 100 <= after && try > 2)) && break
        before=$after
        sleep 1
    done
    echo "$after"
}

measure_held() { # NAME idle|wait PATH COUNT
    local before after broken out in pid
    start_server "$1" "$([[ $2 == idle ]] && echo plaintext || echo hold)"
    # An epoll server that holds its answers cannot be asked whether it is up;
    # the seconds in which the memory settles are plenty for it to start.
    if [[ $2 == idle || $1 != epoll ]] && ! wait_until_up "$1" /plaintext; then
        failed "$1" memory 'did not answer /plaintext'
        stop_server "$1"
        return
    fi
    before=$(settled "$1")
    coproc HOLD { on_load_cores "$OUT/hold" "$2" "${PORT[$1]}" "$3" "$4"; }
    out=${HOLD[0]} in=${HOLD[1]} pid=$HOLD_PID # bash forgets them when it ends
    read -r <&"$out"
    after=$(settled "$1")
    exec {in}>&-
    read -r broken <&"$out"
    wait "$pid" || true
    if is_running "$1"; then
        printf '%s\t' memory "$2" "$1" "$4" "$before" "$after" >>"$RESULTS"
        echo "$broken" >>"$RESULTS"
    else
        failed "$1" memory 'died while connections were held'
    fi
    stop_server "$1"
}

measure_memory() {
    local name most=$(($(ulimit -n) - 100))
    IDLE=$((IDLE < most ? IDLE : most)) WAITING=$((WAITING < most ? WAITING : most))
    for name in "${SERVERS[@]}"; do
        echo "memory: $name" >&2
        measure_held "$name" idle /plaintext "$IDLE"
        measure_held "$name" wait /hold "$WAITING"
    done
}
