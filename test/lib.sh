# shellcheck shell=bash
# What test/demo and test/all share; they source it.
#
# Everything happens in a scratch folder: a copy of the source, a private copy
# of the PostgreSQL installation, a server on a Unix socket.  postgres and
# pg_config find their files relative to where they are, so "make install"
# with the copied pg_config writes into the copy and nowhere else.  root may
# not run a server: its commands run as user postgres.  At the end, however it
# comes, the processes and the folder are gone; packages stay.

SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
SCRATCH='' APT_FILES=() AS=()

# Debian's packages: what everything needs, NN being the server's version; what single
# tests need, first those of the gateway, then users' own programs (Debian's npm would bring
# hundreds of packages along: where there is none, what needs it is skipped); what test/lint
# and test/package need.
BUILD_PACKAGES=(build-essential postgresql-NN postgresql-server-dev-NN)
# shellcheck disable=SC2034
TEST_PACKAGES=(libipc-run-perl sqlsmith postgresql-NN-pgextwlist postgresql-NN-plproxy
    nginx-light libnginx-mod-http-js pgbouncer python3-jsonschema python3-yaml libdbd-pg-perl curl
    python3-django python3-sqlalchemy python3-psycopg2 python3-psycopg ruby-activerecord ruby-pg)
LINT_PACKAGES=(clang-tidy cppcheck shellcheck)
PACKAGING_PACKAGES=(debhelper git lintian postgresql-server-dev-all unzip)
ALL_PACKAGES=("${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}" "${LINT_PACKAGES[@]}" "${PACKAGING_PACKAGES[@]}")

say() { printf '\n== %s\n' "$*"; }
die() { echo "${0##*/}: $*" >&2; exit 2; }

# Prints the processes that run in the scratch folder or a program from it.
processes() {
    find /proc/[0-9]*/cwd /proc/[0-9]*/exe -maxdepth 0 \
        \( -lname "$SCRATCH" -o -lname "$SCRATCH/*" \) 2>/dev/null | cut -d/ -f3 | sort -u || :
}

cleanup() {
    local signal pids
    trap '' INT TERM HUP
    rm -f "${APT_FILES[@]}"
    [ -n "$SCRATCH" ] || return 0
    # QUIT is a server's immediate shutdown, TERM for those who ignore that;
    # they have 10 seconds
    for signal in QUIT KILL; do
        for _ in {1..100}; do
            mapfile -t pids < <(processes)
            (( ${#pids[@]} )) || break 2
            kill -s TERM "${pids[@]}" 2>/dev/null || :
            kill -s "$signal" "${pids[@]}" 2>/dev/null || :
            sleep 0.1
        done
    done
    rm -rf "$SCRATCH"
}

# Sets NN: the newest server that has its headers, else the newest server,
# else the distribution's default; empty when there is none.
choose_version() {
    local v
    NN=''
    for v in $(find /usr/lib/postgresql -mindepth 1 -maxdepth 1 -printf '%f\n' 2>/dev/null | sort -rn); do
        [ -x "/usr/lib/postgresql/$v/bin/postgres" ] || continue
        NN=${NN:-$v}
        if [ -e "/usr/include/postgresql/$v/server/postgres.h" ]; then NN=$v; break; fi
    done
    [ -n "$NN" ] ||     # apt-cache fails where apt-get update was never run
        NN=$(apt-cache depends postgresql 2>/dev/null | sed -n 's/.*Depends: postgresql-\([0-9]*\)$/\1/p') || :
}

# Does apt have the package?  Where it has no list of packages it may.
may_have() { apt-cache show "$1" >/dev/null 2>&1 || ! apt-cache show build-essential >/dev/null 2>&1; }

# Prints what is not installed of PACKAGE..., NN in a name being the server's version.
# What this release does not have is left out: its tests are skipped.
missing_packages() {
    local p
    for p in "${@/NN/$NN}"; do
        if [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" != installed ] && may_have "$p"; then
            echo "$p"
        fi
    done
}

# Ends with what an administrator has to run, for everything in test/ at once.
name_packages() {
    local p missing
    if [ -n "$NN" ]; then
        mapfile -t missing < <(missing_packages "${ALL_PACKAGES[@]}")
    else    # apt's lists are empty: without those that have a version in their name
        missing=(postgresql)
        for p in "${ALL_PACKAGES[@]}"; do [[ $p == *-NN* ]] || missing+=("$p"); done
    fi
    die "packages are missing. Run this as root, which installs what it needs, or copy to a
root shell what installs everything that the scripts of test/ need, and keeps Debian
from making a cluster and from starting services meanwhile (test/demo needs the first
three packages only):

    mkdir -p /etc/postgresql-common/createcluster.d
    echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/contact_block.conf
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d
    apt-get update
    apt-get install --no-install-recommends \\
$(fmt -w 88 <<<"${missing[*]}" | sed 's/^/        /; $!s/$/ \\/')
    rm /usr/sbin/policy-rc.d /etc/postgresql-common/createcluster.d/contact_block.conf"
}

# PACKAGE...: installs what is missing, or names it when this is not root.
need_packages() {
    local p missing
    command -v apt-get >/dev/null || die 'needs Debian or Ubuntu; elsewhere: make, make install, make installcheck'
    choose_version
    if [ -z "$NN" ]; then
        (( EUID == 0 )) || name_packages
        apt-get -qq update </dev/null
        choose_version
        [ -n "$NN" ] || die 'apt knows no PostgreSQL'
    fi
    (( ${NN%%.*} >= 15 )) || die "needs PostgreSQL 15 or later, this is $NN"
    mapfile -t missing < <(missing_packages "${BUILD_PACKAGES[@]}" "$@")
    (( ${#missing[@]} )) || return 0
    (( EUID == 0 )) || name_packages
    apt-get -qq update </dev/null
    mapfile -t missing < <(missing_packages "${BUILD_PACKAGES[@]}" "$@")

    say "Installing ${missing[*]}: a minute or two"
    # Debian would make a cluster of its own and start every service
    mkdir -p /etc/postgresql-common/createcluster.d
    APT_FILES=(/etc/postgresql-common/createcluster.d/contact_block.conf)
    echo 'create_main_cluster = false' >"${APT_FILES[0]}"
    if [ ! -e /usr/sbin/policy-rc.d ]; then
        APT_FILES+=(/usr/sbin/policy-rc.d)
        printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
        chmod 755 /usr/sbin/policy-rc.d
    fi
    export DEBIAN_FRONTEND=noninteractive
    if ! apt-get -qy -o DPkg::Lock::Timeout=300 install --no-install-recommends "${missing[@]}" </dev/null 2>&1 |
            tee "$SCRATCH/apt.log" | sed -nu 's/^Setting up \([^ ]*\).*/   \1/p'; then
        cat "$SCRATCH/apt.log"
        die 'the packages could not be installed'
    fi
    rm -f "${APT_FILES[@]}"
    for p in nginx pgbouncer; do       # nor are they to start with the machine
        if [[ " ${missing[*]} " == *" $p"* ]] && [ -d /run/systemd/system ]; then
            systemctl -q disable "$p" || :
        fi
    done
}

# COMMAND...: in the copy of the source, for and beside the scratch server.
# Waiting for a background job lets a signal through at once.
run() {
    local job
    set -m
    env -C "$SCRATCH/src" HOME="$SCRATCH" TMPDIR="$SCRATCH/tmp" LC_ALL=C.UTF-8 \
        PATH="$BIN:$PATH:/usr/sbin:/sbin" PG_CONFIG="$BIN/pg_config" \
        PGDATA="$SCRATCH/data" PGHOST="$SCRATCH" PGUSER=postgres PGDATABASE=postgres \
        "${AS[@]}" "$@" </dev/null &
    job=$!
    set +m
    wait "$job"
}

# With SANITIZE=1: AddressSanitizer and UndefinedBehaviorSanitizer in the
# extension.  The servers are Debian's, so of palloc()ed memory only what is
# larger than 8 kB is watched; valgrind on an assertion build sees the rest.
# PostgreSQL builds with -fwrapv, under which no signed overflow is undefined.
# Reports go to files beside the server's log, where test/suites looks.
sanitize() {
    local options="log_path=$SCRATCH/server.log:abort_on_error=1:print_stacktrace=1:detect_leaks=0"
    export PG_CFLAGS='-O1 -fno-omit-frame-pointer -fno-wrapv -fsanitize=address,undefined -fno-sanitize-recover=all'
    # libgpg-error allocates in its constructor, inside bindtextdomain(), where
    # AddressSanitizer must not be initialised: it locks itself out
    gcc -shared -fPIC -Wl,-z,initfirst -x c -o "$BIN/asan_first.so" - <<'END'
extern void __asan_init(void);
__attribute__((constructor)) static void first(void) { __asan_init(); }
END
    mv "$BIN/postgres" "$BIN/postgres.real"
    # by the name that it is called by pg_ctl restarts it
    cat >"$BIN/postgres" <<END
#!/bin/bash
export ASAN_OPTIONS='$options' UBSAN_OPTIONS='$options'
LD_PRELOAD='$(gcc -print-file-name=libasan.so) $BIN/asan_first.so' exec -a '$BIN/postgres' '$BIN/postgres.real' "\$@"
END
    chmod 755 "$BIN/postgres"
}

# PACKAGE...: packages, scratch folder and its copies; then run works.
prepare() {
    local v
    for v in "${!PG@}"; do      # a PGHOST or PGOPTIONS of the user's
        [[ $v == *_* ]] || unset "$v"
    done
    unset MAKEFLAGS MAKELEVEL
    trap cleanup EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    umask 022
    SCRATCH=$(readlink -f "$(mktemp -d "${TMPDIR:-/tmp}/contact_block.XXXXXX")")
    need_packages "$@"

    BIN=$SCRATCH/usr/lib/postgresql/$NN/bin
    mkdir -p "$SCRATCH"/{src,tmp,usr/{lib,share}/postgresql}
    cp -a "/usr/lib/postgresql/$NN" "$SCRATCH/usr/lib/postgresql/"
    cp -a "/usr/share/postgresql/$NN" "$SCRATCH/usr/share/postgresql/"
    ln -s /usr/include "$SCRATCH/usr/include"
    tar -C "$SOURCE" -cf - --exclude=.git --exclude='*.o' --exclude='*.so' --exclude='*.bc' \
        --exclude=./{tmp_check,results,output_iso,log} . | tar -C "$SCRATCH/src" --no-same-owner -xf -
    [ -z "${SANITIZE:-}" ] || sanitize
    if (( EUID == 0 )); then
        AS=(setpriv --reuid=postgres --regid=postgres --init-groups)
        chown -R postgres:postgres "$SCRATCH"
    fi
}

# As for PostgreSQL's own tests, PG_TEST_INITDB_EXTRA_OPTS goes to initdb: another locale, another encoding.
start_server() {
    local options
    read -ra options <<<"${PG_TEST_INITDB_EXTRA_OPTS:-}"
    say "Starting a server, PostgreSQL $NN"
    run initdb -N -A trust -U postgres --no-locale -E UTF8 "${options[@]}" >"$SCRATCH/initdb.log" 2>&1 ||
        { cat "$SCRATCH/initdb.log"; die 'initdb failed'; }
    printf '%s\n' "listen_addresses = ''" "unix_socket_directories = '$SCRATCH'" 'fsync = off' \
        >>"$SCRATCH/data/postgresql.conf"
    run pg_ctl -s -w -l "$SCRATCH/server.log" start || { cat "$SCRATCH/server.log"; die 'the server does not start'; }
}
