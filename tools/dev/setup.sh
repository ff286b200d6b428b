# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# The virtual environments. Sourced by ./dev. An environment carries a stamp: a hash of what it was made from
# (pyproject.toml, constraints.txt, this checkout's path, the interpreter), so that a current one costs nothing.

find_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11 /usr/bin/python3; do
        [ -n "$candidate" ] || continue
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

stamp_of() { # LEVEL
    { echo "$1" "$ROOT"; cat pyproject.toml constraints.txt tools/dev/clients.txt; } | sha256sum | cut -d' ' -f1
}

current() { # ENVIRONMENT LEVEL
    [ -x "$1/bin/python" ] && [ "$(cat "$1/.stamp-$2" 2>/dev/null)" = "$(stamp_of "$2")" ] && "$1/bin/python" -c ''
}

make_environment() { # ENVIRONMENT
    [ -x "$1/bin/python" ] && "$1/bin/python" -c '' 2>/dev/null && return
    local python
    python=$(find_python) || { install_packages "python3 python3-venv" required; python=$(find_python); } \
        || fail "Python 3.11 or newer is needed and there is none; set PYTHON=/path/to/python3.11"
    say "$(basename "$1"): $("$python" --version 2>&1) ($python)"
    rm -rf "$1"
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        local version
        version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        install_packages "python$version-venv" required
    fi
    "$python" -m venv "$1"
}

# uv installs the same wheels in a tenth of the time; where it cannot be had, pip does.
pip_install() { # ENVIRONMENT ARGUMENTS...
    local environment=$1 log status=0
    shift
    log=$(mktemp)
    if [ -x "$VENV/bin/uv" ] || { [ -z "${NO_UV:-}" ] && "$VENV/bin/python" -m pip install -q -c constraints.txt uv 2>"$log"; }; then
        VIRTUAL_ENV="$environment" "$VENV/bin/uv" pip install -q "$@" 2>"$log" && { rm -f "$log"; return; }
        say "uv could not; pip tries"
    fi
    "$environment/bin/python" -m pip install -q --disable-pip-version-check "$@" 2>"$log" || status=$?
    [ $status = 0 ] || cat "$log" >&2
    rm -f "$log"
    return $status
}

install_level() { # LEVEL EXTRAS
    current "$VENV" "$1" && return
    local started=$SECONDS
    make_environment "$VENV"
    say ".venv: breezeblock[$2]"
    pip_install "$VENV" -c constraints.txt -e ".[$2]" || fail "the Python packages could not be installed (above)"
    stamp_of "$1" >"$VENV/.stamp-$1"
    say ".venv: ready in $((SECONDS - started)) s"
}

# One set-up at a time: two terminals that both type ./dev must not build the same folder.
locked() { (exec 9>"$ROOT/.cache/setup.lock"; flock 9; "$@"); }

install_clients() {
    current "$CLIENTS" clients && return
    local started=$SECONDS
    make_environment "$CLIENTS"
    say ".venv-clients: the OpenStack clients"
    pip_install "$CLIENTS" -c constraints.txt -r tools/dev/clients.txt || fail "the OpenStack clients could not be installed"
    stamp_of clients >"$CLIENTS/.stamp-clients"
    say ".venv-clients: ready in $((SECONDS - started)) s"
}

setup_service() { # what `demo` and `serve` need, and no more
    mkdir -p .cache
    packages_for_service required
    current "$VENV" dev || locked install_level service pg,mariadb
}

setup_python() { # everything in .venv
    mkdir -p .cache
    locked install_level dev pg,mariadb,dev
}

setup_tests() { # everything: what is missing from the system and cannot be installed makes tests skip, visibly
    mkdir -p .cache
    packages_for_service wished
    packages_for_tests wished
    setup_python
    locked install_clients
}

write_pins() {
    { sed -n '/^#/p' constraints.txt
      "$VENV/bin/uv" pip compile -q --universal --python-version 3.11 --no-header --no-annotate --all-extras \
          pyproject.toml tools/dev/clients.txt - <<<"hatchling" | sed -E 's/ ;.*//' | grep -vE '^(colorama|setuptools)='
      "$VENV/bin/uv" --version | sed -E 's/^uv ([0-9.]+).*/uv==\1/'
    } >.cache/constraints.txt
    mv .cache/constraints.txt constraints.txt
}

clean() {
    # First what runs, by this checkout's path and never by a program's name; then the files.
    if [ -x "$VENV/bin/python" ]; then
        "$VENV/bin/python" tools/dev/leftovers.py --end "$ROOT" || true
    fi
    say "removing environments and caches"
    rm -rf .venv .venv-clients .cache build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .grimp_cache
    find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
}
