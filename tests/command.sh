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

# lost ARGUMENT...: where stdout cannot be written, the command says so in one line, and exits 2.
lost() {
    local got=0
    "$kvspec" "$@" >/dev/full 2>stderr </dev/null || got=$?
    if [[ $got -ne 2 || $(wc -l <stderr) -ne 1 ]] || ! grep -q 'standard output' stderr; then
        echo "kvspec $* >/dev/full: exit code $got, expected 2 and one line about stdout; stderr:"
        sed 's/^/    /' stderr
        failures=$((failures + 1))
    fi
}

bug=bugs/stale_length_after_rollback
law=rollback_append

expect 0 stdout '^kvspec [0-9]+\.[0-9]+\.[0-9]+, built and proved by ' --version
expect 0 stdout '^  kvspec check contiguous$' --help
for subcommand in laws explain infer check replay verify numerics meter memory; do
    expect 0 stdout "^  kvspec $subcommand" "$subcommand" --help
done

# The shapes come from the objects of proofs/: none would mean that they were not linked.
expect 0 stdout '^ +A: lengths 0 1 2 4 8 16; up to 4:2 heads' laws
expect 0 stdout '"law": "rollback_append"' laws --json
expect 0 stdout '^      length 16, heads 2:1' laws --shapes
expect 0 stdout "^  kills +$bug: " explain "$law"
expect 2 stderr 'perhaps rollback_append$' explain rollback_apend

subcommands='laws, explain, infer, check, replay, verify, numerics, meter or memory'
expect 2 stderr "a subcommand is missing; expected $subcommands\$"
expect 2 stderr "\"chek\" is none; expected $subcommands\$" chek
expect 2 stderr '"nobody" is no engine; expected contiguous, paged, bugs/slot_reused, ' check nobody
expect 2 stderr '^kvspec: --require: "101" .* expected a whole number from 0 to 100; see ' \
    check contiguous --require 101
# 2^64 - 50 below zero is 50 again, to whoever reads a number without looking at its sign.
expect 2 stderr '^kvspec: --require: ' check contiguous --require -18446744073709551566
for cases in 0 -1 7x 2147483648 ' 7'; do
    expect 2 stderr '^kvspec: --cases: .* from 1 to 2147483647; see ' \
        check contiguous "--cases=$cases"
done
for seed in -1 18446744073709551616 99999999999999999999999 0x10 1x; do
    expect 2 stderr "^kvspec: --seed: \"$seed\" .* from 0 to 18446744073709551615; see " \
        check contiguous --cases 1 "--seed=$seed"
done
expect 0 stdout 'seed 18446744073709551615' \
    check contiguous --cases 10 --require 0 --seed 18446744073709551615
expect 0 stdout 'seed 10$|seed 10[^0-9]' check contiguous --cases 10 --require 0 --seed 010
expect 2 stderr '"rollback" is no theorem' check contiguous --law rollback
expect 2 stderr 'appendKV_length has scope spec' check contiguous --law appendKV_length
expect 2 stderr 'cannot be written' check contiguous --json missing/report.json

for twin in report ./report missing/../report; do
    expect 2 stderr 'would overwrite the file of --json; expected another file$' \
        check contiguous --cases 10 --json report --junit "$twin"
    expect 2 stderr 'would overwrite the file of --json; expected another file$' \
        check contiguous --cases 10 --json "$PWD/report" --junit "$twin"
done
if [[ -e report ]]; then
    echo "a refused check has written its report"
    failures=$((failures + 1))
fi

expect 0 stdout ' fields inferred: [0-9]+ agree, 0 differ, ' infer contiguous --json proposal.json
expect 1 stdout '^  window +inferred: 5; DIFFERS \(declared 4\)$' \
    infer bugs/mask_one_key_too_wide --setup 1
expect 2 stderr '^kvspec: --setup 9 is none; expected 1 to 4$' infer contiguous --setup 9
expect 2 stderr '"nobody" is no engine; expected contiguous, ' infer nobody
if ! grep -q '"declaration": {' proposal.json || ! grep -q '"unknown": \[' proposal.json; then
    echo "the proposal holds no declaration, or does not say what is unknown"
    failures=$((failures + 1))
fi

# A model of 32 layers: bytes are exact, and a wrong size is named.
model=(memory --layers 32 --kv-heads 32 --head-dim 128 --format f16)
expect 0 stdout '^total 2147483648 bytes, 2 GiB$' "${model[@]}" --length 4096
expect 0 stdout '^total 17179869184 bytes, 16 GiB$' "${model[@]}" --sequences 8 --length 4096
expect 0 stdout '^total 137438953472 bytes, 128 GiB$' "${model[@]}" --sequences 32 --length 8192
expect 0 stdout '^total 2199023255552 bytes, 2048 GiB$' "${model[@]}" --sequences 128 --length 32768
expect 0 stdout '^  16 rows of 16384 bytes each, ' "${model[@]}" --length 1 --block 16
expect 0 stdout '^  10 rows of 4992 bytes each, ' \
    memory --layers 1 --kv-heads 32 --head-dim 96 --format q4_0 --values-format q8_0 --length 10
expect 0 stdout '^layers 0, 9, 19, 29$' memory "$recording" --json memory.json
expect 0 stdout '^contiguous, setup 1 of [1-9]' memory contiguous
expect 2 stderr '^kvspec: --length is missing; expected an engine, a trace, or ' "${model[@]}"
expect 2 stderr ' more bytes than 64 bits can count; ' \
    "${model[@]}" --sequences 4294967296 --length 4294967296
expect 2 stderr 'q8_0: a row of 80 elements; it takes multiples of 32, ' \
    memory --layers 1 --kv-heads 1 --head-dim 80 --format q8_0 --length 1
expect 2 stderr '^kvspec: --block: "0" is not possible; ' "${model[@]}" --length 1 --block 0
expect 2 stderr '^kvspec: --kv-heads was typed beside ' memory contiguous --kv-heads 2
expect 2 stderr '"nobody" is no engine and no file; expected contiguous, ' memory nobody
expect 2 stderr '^kvspec: --json .* would overwrite the trace' \
    memory "$recording" --json "$recording"
if ! grep -q '"total": 50331648$' memory.json; then
    echo "the report of a recording's memory does not hold its total"
    failures=$((failures + 1))
fi

expect 0 stdout '^contiguous: held [1-9][0-9]* / refused 0 / not reachable 0 / violated 0$' \
    check contiguous --cases 200 --json report.json --junit report.xml
expect 0 stdout '^could have shown ([0-9]+) of \1 bugs of the zoo$' check contiguous --cases 1000
# Ten cases are too few to show half of the zoo: held, and worth nothing.
expect 3 stdout '^could have shown [0-9]+ of [0-9]+ bugs of the zoo: too little, --require asks ' \
    check contiguous --cases 10
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

# Where the trace cannot be saved, the same options draw the same cases.
touch taken
for options in "--seed 3" "--seed 3 --cases 700" "--seed 3 --size 16" "--seed 1 --budget 100" \
               "--seed 1 --cases 900 --law trace_eq_spec"; do
    expect 1 stdout "^VIOLATED " check "$bug" --save taken $options
    again=$(sed -n 's/^  again  kvspec //p' stdout)
    if [[ "$again" != "check $bug $options" ]]; then
        echo "kvspec check $bug --save taken $options: shown again by: $again"
        failures=$((failures + 1))
    fi
    tail -n 5 stdout >checked
    expect 1 stdout "^VIOLATED " $again --save taken
    if ! diff checked <(tail -n 5 stdout); then
        echo "kvspec $again says other five lines than the check that named it"
        failures=$((failures + 1))
    fi
done

lost --help
lost --version
lost laws --help
lost laws
lost laws --json
lost explain "$law"
lost check contiguous --cases 10
lost check "$bug"
lost replay cured.trace
lost infer contiguous
lost memory contiguous
lost verify "$recording"
got=0
"$kvspec" check contiguous --cases 10 --json closed.json >&- 2>stderr </dev/null || got=$?
if [[ $got -ne 2 || -e closed.json ]]; then
    echo "a closed stdout is not noticed: exit code $got, expected 2 and no file"
    failures=$((failures + 1))
fi

expect 0 stdout '^held: ' verify "$recording"
cp "$recording" "${recording%.trace}.safetensors" .
stem=$(basename "$recording" .trace)
for own in "$stem.trace" "./$stem.safetensors"; do
    expect 2 stderr '^kvspec: --json .* would overwrite the recording' \
        verify "$stem.trace" --json "$own"
    if ! cmp -s "$own" "$(dirname "$recording")/$own"; then
        echo "verify has written over $own"
        failures=$((failures + 1))
    fi
done
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
