#!/usr/bin/env bash
# What script/setup says of old tools and of missing ones, on machines that are made of stubs.
#
# usage: tests/setup.sh SETUP    the script; what it needs besides the stubs must be installed
set -uo pipefail

setup=$(realpath "$1")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0

stub() {  # stub NAME BODY: a command of that name, before all others
    printf '#!/usr/bin/env bash\n%s\n' "$2" >"$scratch/bin/$1"
    chmod +x "$scratch/bin/$1"
}

# machine GCC CMAKE CLANG: new enough or not; all else is there, and apt-get writes down its words.
machine() {
    rm -rf "$scratch"/*
    mkdir -p "$scratch/bin" "$scratch/clang/lib/any"
    touch "$scratch/clang/lib/any/libclang_rt.fuzzer.a"
    stub g++ "[[ \$1 == -dumpfullversion ]] && echo $1"
    stub cmake "[[ \$1 == --version ]] && printf 'cmake version $2\n\nCMake 9.9 suite\n'"
    stub clang++ "case \$1 in
        -dumpversion) echo $3 ;;
        -print-resource-dir) echo '$scratch/clang' ;;
    esac"
    stub ninja true
    stub sudo 'exec "$@"'
    stub apt-get "echo \"\$*\" >>'$scratch/apt'"
}

# expect CODE PATTERN ARGUMENT...: the exit code, and a line of what is said; apt-get is not called.
expect() {
    local code=$1 pattern=$2 got=0
    shift 2
    PATH=$scratch/bin:$PATH bash "$setup" "$@" >"$scratch/said" 2>&1 </dev/null || got=$?
    if [[ $got -ne $code ]] || ! grep -qE -- "$pattern" "$scratch/said"; then
        echo "setup $*: exit code $got, expected $code and a line that matches: $pattern"
        sed 's/^/    /' "$scratch/said"
        failures=$((failures + 1))
    fi
    if [[ -e $scratch/apt && $pattern != *libclang-rt* ]]; then
        echo "setup $*: nothing is missing, but apt-get was asked to: $(cat "$scratch/apt")"
        failures=$((failures + 1))
    fi
}

quiet='^setup: all is there, nothing to install$'
for versions in "12.2.0 3.25.1 14.0.6" "12 3.25 14" "13.1.0 4.0.2 19.1.7"; do
    machine $versions
    expect 0 "$quiet"
    expect 0 "$quiet" command
    if [[ $(wc -l <"$scratch/said") -ne 1 ]]; then
        echo "setup says more than one line where all is there"
        failures=$((failures + 1))
    fi
done

machine 11.4.0 3.25.1 14.0.6
expect 1 '^setup: g\+\+ 11\.4\.0 is found \(/.*/g\+\+\), but 12 or newer is needed: ' command
machine 9.4.0 3.25.1 14.0.6
expect 1 '^setup: g\+\+ 9\.4\.0 is found'
machine 12.2.0 3.22.1 14.0.6
expect 1 '^setup: cmake 3\.22\.1 is found .* but 3\.25 or newer is needed: ' command
machine 12.2.0 3.3.2 14.0.6
expect 1 '^setup: cmake 3\.3\.2 is found'
machine 12.2.0 3.25.1 13.0.1
expect 1 '^setup: clang\+\+ 13\.0\.1 is found .* but 14 or newer is needed: '
expect 0 "$quiet" command
machine '' 3.25.1 14.0.6
expect 1 '^setup: g\+\+ of unknown version is found'

# The runtime is that of the clang++ which is there. This apt-get installs it; the next nothing.
machine 12.2.0 3.25.1 16.0.6
rm "$scratch/clang/lib/any/"*
stub apt-get "echo \"\$*\" >>'$scratch/apt'; touch '$scratch/clang/lib/any/libclang_rt.fuzzer.a'"
expect 0 '^setup: libclang-rt-16-dev is missing: '
if [[ $(cat "$scratch/apt" 2>&1) != "install -y --no-install-recommends libclang-rt-16-dev" ]]; then
    echo "setup asked apt-get to: $(cat "$scratch/apt" 2>&1)"
    failures=$((failures + 1))
fi
rm -f "$scratch/apt"
expect 0 "$quiet"
rm "$scratch/clang/lib/any/"*
expect 0 "$quiet" command
stub apt-get true
expect 1 'clang\+\+ does not find the runtime that libclang-rt-16-dev installs$'

if [[ $failures -gt 0 ]]; then
    echo "$failures of the answers of script/setup are wrong"
    exit 1
fi
