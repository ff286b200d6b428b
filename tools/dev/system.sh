# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# The system's packages, by Debian's and Ubuntu's names. Sourced by ./dev. A program that is there needs no package,
# wherever it came from. Installing starts no service: the servers that tests use are started by the tests.

PATH=$PATH:/usr/sbin:/sbin

packages_missing() { # PROGRAM=PACKAGE...
    local pair
    for pair in "$@"; do
        command -v "${pair%%=*}" >/dev/null 2>&1 || echo "${pair#*=}"
    done | sort -u | tr '\n' ' '
}

packages_for_service() { # required|wished
    local programs="qemu-img=qemu-utils qemu-storage-daemon=qemu-system-common nbdfuse=libnbd-bin
        fusermount3=fuse3 mkfs.ext4=e2fsprogs mkfs.xfs=xfsprogs losetup=mount" left
    # shellcheck disable=SC2086
    install_packages "$(packages_missing $programs)" "$1"
    # shellcheck disable=SC2086
    left=$(packages_missing $programs)
    [ -z "$left" ] || [ "$1" = wished ] || fail "installed, and yet their programs are missing: $left"
}

packages_for_tests() { # required|wished
    local servers=""
    compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || servers=postgresql
    install_packages "$servers $(packages_missing fio=fio mariadbd=mariadb-server mariadb-install-db=mariadb-server \
        nbdinfo=libnbd-bin git=git)" "$1"
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

may_install() {
    command -v apt-get >/dev/null && { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }
}

install_packages() { # "NAMES" required|wished
    local names
    read -ra names <<<"$1"
    [ ${#names[@]} = 0 ] && return
    if ! may_install; then
        local command="sudo apt-get install --no-install-recommends ${names[*]}"
        [ "$2" = required ] && fail "missing system packages, and this user may not install them. Run:
    $command"
        [ -e "$ROOT/.cache/said-packages" ] || say "not installed (tests that need them skip): $command"
        touch "$ROOT/.cache/said-packages"
        return 0
    fi
    say "system packages: ${names[*]}"
    local log
    log=$(mktemp)
    if ! { apt_quietly "${names[@]}" || { as_root apt-get update -q && apt_quietly "${names[@]}"; }; } >"$log" 2>&1; then
        tail -20 "$log" >&2
        rm -f "$log"
        [ "$2" = required ] && fail "apt-get could not install: ${names[*]}"
        say "apt-get could not install ${names[*]}; tests that need them skip"
        return 0
    fi
    rm -f "$log"
}

# Debian starts a server when it installs one; a policy that says no (101) for the time of the installation, and
# no cluster made by postgresql-common, keep this machine as it was. An administrator's own policy is respected.
apt_quietly() {
    local policy=/usr/sbin/policy-rc.d ours="" made="" status=0
    local cluster=/etc/postgresql-common/createcluster.d/breezeblock.conf
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null && as_root chmod 755 $policy && ours=yes
    fi
    [ -d /etc/postgresql-common ] || made=yes
    as_root mkdir -p "$(dirname $cluster)"
    echo 'create_main_cluster = false' | as_root tee $cluster >/dev/null
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "$@" || status=$?
    as_root rm -f $cluster
    # Where this installation brought no PostgreSQL, its folders go again.
    [ -z "$made" ] || [ -e /etc/postgresql-common/createcluster.conf ] \
        || as_root rmdir "$(dirname $cluster)" /etc/postgresql-common
    [ -z "$ours" ] || as_root rm -f $policy
    return $status
}
