#!/usr/bin/env bash
# What a person types: exit codes and key lines of the command.
#
# usage: tests/command.sh KVSPEC RECORDING    the binary, and tests/data/smollm2.trace
set -uo pipefail

kvspec=$(realpath "$1")
recording=$(realpath "$2")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
failures=0

# expect CODE STREAM PATTERN ARGUMENT...: the exit code, and a line that stdout or stderr must hold.
expect() {
    local code=$1 stream=$2 pattern=$3 got=0
    shift 3
    "$kvspec" "$@" >stdout 2>stderr </dev/null || got=$?
    if [[ $got -ne $code ]]; then
        echo "kvspec $*: exit code $got, expected $code"
        failures=$((failures + 1))
    fi
    if ! grep -qE -- "$pattern" "$stream"; then
        echo "kvspec $*: no line of $stream matches: $pattern"
        sed 's/^/    /' stdout stderr
        failures=$((failures + 1))
    fi
    if [[ $code -eq 2 && ( $(wc -l <stderr) -ne 1 || -s stdout ) ]]; then
        echo "kvspec $*: bad input is answered by one line on stderr and nothing else"
        failures=$((failures + 1))
    fi
}

bug=bugs/stale_length_after_rollback
law=rollback_append

expect 0 stdout '^kvspec [0-9]+\.[0-9]+\.[0-9]+, built and proved by ' --version
expect 0 stdout '^  kvspec check contiguous$' --help
for subcommand in laws explain check replay verify; do
    expect 0 stdout "^  kvspec $subcommand" "$subcommand" --help
done

# The shapes come from the objects of proofs/: none would mean that they were not linked.
expect 0 stdout '^ +A: lengths 0 1 2 4 8 16; up to 4:2 heads' laws
expect 0 stdout '"law": "rollback_append"' laws --json
expect 0 stdout '^      length 16, heads 2:1' laws --shapes
expect 0 stdout "^  kills +$bug: " explain "$law"
expect 2 stderr 'perhaps rollback_append$' explain rollback_apend

expect 2 stderr 'a subcommand is missing; expected laws, explain, check, replay or verify$'
expect 2 stderr '"chek" is none; expected laws, explain, check, replay or verify$' chek
expect 2 stderr '"nobody" is no engine; expected contiguous, bugs/slot_reused, ' check nobody
expect 2 stderr -- '--require: ' check contiguous --require 101
expect 2 stderr -- '--cases: ' check contiguous --cases 0
expect 2 stderr '"rollback" is no theorem' check contiguous --law rollback
expect 2 stderr 'appendKV_length has scope spec' check contiguous --law appendKV_length
expect 2 stderr 'cannot be written' check contiguous --json missing/report.json

expect 0 stdout '^contiguous: held [1-9][0-9]* / refused 0 / not reachable 0 / violated 0$' \
    check contiguous --cases 200 --json report.json --junit report.xml
expect 0 stdout '^could have shown 12 of 12 bugs of the zoo$' check contiguous --cases 10
expect 0 stdout '^contiguous: held 1 / ' check contiguous --law "$law"

expect 1 stdout "^VIOLATED $law: " check "$bug" --save "out here" --junit bug.xml
cp stdout checked
trace="out here/bugs-stale_length_after_rollback-$law.trace"
expect 1 stdout "^VIOLATED $law: " replay "$trace"
if ! diff <(tail -n 5 checked) stdout; then
    echo "replay says other five lines than check"
    failures=$((failures + 1))
fi
sed 's#"engine":"bugs/stale_length_after_rollback"#"engine":"contiguous"#' "$trace" >cured.trace
expect 0 stdout '^held on this trace: ' replay cured.trace

expect 0 stdout '^held: ' verify "$recording"
expect 2 stderr ' which kvspec verify reads; expected a counterexample$' replay "$recording"
expect 2 stderr ' which kvspec replay reads; expected a recording$' verify "$trace"
expect 2 stderr '^kvspec: missing.trace:1: the file does not exist' replay missing.trace
head -c 100 "$trace" >cut.trace
expect 2 stderr '^kvspec: cut.trace:1: the last line has no newline' replay cut.trace
echo 'no json' >bad.trace
expect 2 stderr '^kvspec: bad.trace:1: the file is no trace' verify bad.trace

if [[ $failures -gt 0 ]]; then
    echo "$failures of the command's answers are wrong"
    exit 1
fi
