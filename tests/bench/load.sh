# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# One scenario under load: all servers run, but only one at a time is asked,
# in rounds (A B C, A B C, ...), so that a slow minute of the machine falls on
# all of them alike.

WARM_UP=2 # seconds; node needs about one to compile its hot code

cpu_ticks() { # NAME: "user system", in clock ticks, of all its processes
    local pid user=0 sys=0 fields
    for pid in $(with_children "$1"); do
        fields=$(<"/proc/$pid/stat")
        read -ra fields <<<"${fields##*) }" # what follows the name, from field 3
        user=$((user + fields[11])) sys=$((sys + fields[12]))
    done
    echo "$user $sys"
}

load() { # NAME PATH SECONDS CONNECTIONS [WRK OPTIONS]: wrk's report; no requests if it failed
    on_load_cores wrk -t "$(on_load_cores nproc)" -d "$3" -c "$4" "${@:5}" \
        "http://127.0.0.1:${PORT[$1]}$2" || true
}

requests_and_errors() { # of a wrk report: "requests requests/s errors"
    awk '/requests in/ { requests = $1 }
         /Requests\/sec/ { rate = $2 }
         /Socket errors/ { errors += $4 + $6 + $8 + $10 }
         /Non-2xx/ { errors += $NF }
         END { print requests + 0, rate + 0, errors + 0 }'
}

measure_round() { # SCENARIO NAME PATH CONNECTIONS [WRK OPTIONS]: fails if the server died
    local report user0 sys0 user1 sys1 requests rate errors
    is_running "$2" || return
    read -r user0 sys0 < <(cpu_ticks "$2")
    report=$(load "$2" "$3" "$DURATION" "$4" "${@:5}")
    is_running "$2" || return
    read -r user1 sys1 < <(cpu_ticks "$2")
    read -r requests rate errors < <(requests_and_errors <<<"$report")
    printf '%s\t' load "$1" "$2" "$4" "$requests" "$rate" "$TICK_US" >>"$RESULTS"
    printf '%d\t%d\t%d\n' $((user1 - user0)) $((sys1 - sys0)) "$errors" >>"$RESULTS"
}

measure_load() { # SCENARIO CONNECTIONS
    local scenario=$1 path=/$1 name round running=() options=() servers=("${SERVERS[@]}")
    if [[ $scenario == pipelined ]]; then
        path=/plaintext options=(-s "$BENCH/pipeline.lua")
    fi
    if [[ $scenario == proxy ]]; then
        start_upstream
        servers+=("${PROXIES[@]}")
    fi
    for name in "${servers[@]}"; do
        start_server "$name" "$scenario"
        if wait_until_up "$name" "$path"; then
            running+=("$name")
            load "$name" "$path" $WARM_UP "$2" "${options[@]}" >/dev/null
        else
            failed "$name" "$scenario" "did not answer $path"
        fi
    done
    for ((round = 1; round <= ROUNDS; round++)); do
        echo "$scenario: round $round of $ROUNDS" >&2
        for name in "${running[@]}"; do
            [[ ${PID[$name]:-} ]] || continue # died in an earlier round
            measure_round "$scenario" "$name" "$path" "$2" "${options[@]}" || {
                failed "$name" "$scenario" "died"
                stop_server "$name"
            }
        done
    done
    stop_all
}

TICK_US=$((1000000 / $(getconf CLK_TCK)))
