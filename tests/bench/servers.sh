# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Building, starting and ending the servers. They share the last core, where
# only the one under load has work; the upstream of the proxies, if there is
# one, has the core before it; the load has the rest. With two cores, the
# upstream shares that of the load.

SERVERS=()          # what can be measured on this machine, in table order
PROXIES=()          # what else can be measured in the proxy scenario
declare -A PID PORT # of the servers running now

choose_cores() {
    local cores
    cores=$(nproc)
    if ((cores < 2)); then
        loud "the bench needs 2 cores, one for a server and one for the load; better 3, one of them for an upstream"
        exit 1
    fi
    if ((cores < 3)); then
        loud "two cores: the upstream shares that of the load. CPU per request and its ratios hold, requests per second do not"
    fi
    SERVER_CORE=$((cores - 1))
    UPSTREAM_CORE=$((cores - 2))
}

on_load_cores() { # COMMAND...
    local last=$((SERVER_CORE - 1))
    if [[ ${PID[upstream]:-} ]] && ((UPSTREAM_CORE > 0)); then last=$((UPSTREAM_CORE - 1)); fi
    taskset -c "0-$last" "$@"
}

need() { # a program or a file, and what is skipped without it
    [[ $1 == */* && -e $1 ]] || command -v "$1" >/dev/null || { loud "$1 not found: $2 is skipped" && false; }
}

build_servers() {
    local program source
    for program in wrk taskset lua5.4; do need "$program" everything || exit 1; done
    for source in epoll hold; do
        "${CC:-cc}" -O2 -Wall -Wextra -o "$OUT/$source" "$BENCH/peers/$source.c"
    done
    SERVERS=(epoll)

    GREENLUA=${GREENLUA:-build/greenlua}
    need "$GREENLUA" "greenlua itself" && SERVERS+=(greenlua)

    NGINX=$(PATH=$PATH:/usr/sbin command -v nginx) || true
    NGINX_MODULES=${NGINX_MODULES:-/usr/lib/nginx/modules}
    need "${NGINX:-nginx}" nginx-lua && need "$NGINX_MODULES/ngx_http_lua_module.so" nginx-lua &&
        SERVERS+=(nginx-lua) PROXIES=(nginx-cosocket nginx-pass)

    need go go && go build -o "$OUT/go-peer" "$BENCH/peers/go/main.go" && SERVERS+=(go)
    need node node && SERVERS+=(node)
    return 0
}

free_port() { # below the ports the kernel hands out to clients
    local port
    while port=$((20000 + RANDOM % 12000)); (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
        continue
    done
    echo "$port"
}

launch() { # NAME CORE COMMAND...
    local name=$1 core=$2
    shift 2
    taskset -c "$core" "$@" >"$OUT/$name.log" 2>&1 &
    PID[$name]=$!
}

is_running() { kill -0 "${PID[$1]}" 2>/dev/null; }

answers() { # NAME PATH: it is running and answers what it should
    is_running "$1" && "$OUT/hold" idle "${PORT[$1]}" "$2" 1 </dev/null >/dev/null 2>&1
}

failed() { # NAME SCENARIO WHAT: no figures from it, and the run ends in failure
    loud "$2: $1 $3, see $OUT/$1.log"
    printf "failed\t%s\t%s\t%s\n" "$2" "$1" "$3" >>"$RESULTS"
}

wait_until_up() { # NAME PATH: for five seconds
    for _ in {1..50}; do
        answers "$1" "$2" && return
        sleep 0.1
    done
    false
}

start_nginx() { # NAME PORT: one process for each way to be a proxy
    local path
    case $1 in
        nginx-lua) path=/capture ;;
        nginx-cosocket) path=/cosocket ;;
        nginx-pass) path=/pass ;;
    esac
    mkdir -p "$OUT/$1"
    sed -e "s|@MODULES@|$NGINX_MODULES|; s|@PORT@|$2|; s|@UPSTREAM@|127.0.0.1:${PORT[upstream]:-9}|" \
        -e "s|@UPSTREAM_PORT@|${PORT[upstream]:-9}|; s|@PROXY@|$path|" "$BENCH/peers/nginx.conf.in" >"$OUT/$1/nginx.conf"
    launch "$1" "$SERVER_CORE" "$NGINX" -p "$PWD/$OUT/$1" -e error.log -c nginx.conf
}

start_epoll() { # PORT SCENARIO
    case $2 in
        pipelined) set -- "$1" plaintext ;;
        sleep) set -- "$1" sleep 10 ;;
        hold) set -- "$1" sleep 30000 ;;
        proxy) set -- "$1" proxy "${PORT[upstream]}" ;;
    esac
    launch epoll "$SERVER_CORE" "$OUT/epoll" "$2" "$1" "${@:3}"
}

start_upstream() {
    PORT[upstream]=$(free_port)
    launch upstream "$UPSTREAM_CORE" "$OUT/epoll" upstream "${PORT[upstream]}"
    wait_until_up upstream /plaintext || { loud "the upstream does not answer" && exit 1; }
    export UPSTREAM=http://127.0.0.1:${PORT[upstream]}/plaintext
}

start_server() { # NAME SCENARIO
    local port
    port=$(free_port)
    PORT[$1]=$port
    case $1 in
        epoll) start_epoll "$port" "$2" ;;
        nginx-*) start_nginx "$1" "$port" ;;
        greenlua) launch greenlua "$SERVER_CORE" "$GREENLUA" --listen "127.0.0.1:$port" "$BENCH/greenlua_app.lua" ;;
        go) launch go "$SERVER_CORE" "$OUT/go-peer" "$port" ;;
        node) launch node "$SERVER_CORE" node "$BENCH/peers/node.js" "$port" ;;
    esac
}

stop_server() { # NAME: asked to end, and after three seconds made to
    kill "${PID[$1]}" 2>/dev/null || true
    for _ in {1..30}; do
        is_running "$1" || break
        sleep 0.1
    done
    kill -KILL "${PID[$1]}" 2>/dev/null || true
    wait "${PID[$1]}" 2>/dev/null || true
    unset "PID[$1]" "PORT[$1]"
}

stop_all() {
    local name
    for name in "${!PID[@]}"; do stop_server "$name"; done
}

with_children() { # NAME: its process and, for nginx, the worker
    echo "${PID[$1]}"
    pgrep -P "${PID[$1]}" || true
}
