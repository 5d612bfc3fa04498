#!/usr/bin/env bash
# Compiles one program of this folder and its twin, and holds the compiler to what they expect.
#
# usage: refuse.sh FILE COMPILER_ID COMPILER FLAG...
#
# FILE starts with `// expect-gnu: REGEX` and `// expect-clang: REGEX`. The compiler must fail, and
# one line of what it prints must match the REGEX (extended, as grep -E reads it). accept_FILE, the
# twin that differs in the one mistake, must compile: so the refusal has no other cause.
set -euo pipefail
export LC_ALL=C  # g++ prints plain quotes then
file=$1 id=$2
shift 2
name=$(basename "$file")
twin=$(dirname "$file")/accept_$name

fail() {
    printf '%s\n' "$*"
    exit 1
}
compile() {
    "$@" -fsyntax-only 2>&1
}

[[ -f $file ]] || fail "$file: missing, but its twin accept_$name is there"
[[ -f $twin ]] || fail "$twin: missing; without the twin any mistake would pass for the refusal"
case $id in
    GNU) key=gnu line=1 ;;
    *Clang) key=clang line=2 ;;
    *) fail "$id: no message is known for this compiler; use GNU or Clang" ;;
esac
expected=$(sed -n "${line}s|^// expect-$key: *||p" "$file")
[[ -n $expected ]] || fail "$file:$line: the line '// expect-$key: REGEX' is missing"

message=$(compile "$@" "$twin") || fail "$message"$'\n'"$twin: this twin must compile"
if message=$(compile "$@" "$file"); then
    fail "$file: compiles, but must be refused with a message that matches: $expected"
fi
found=$(grep -E -m 1 -e "$expected" <<<"$message") ||
    fail "$message"$'\n'"$file: refused, but no line matches: $expected"
echo "$name is refused: $found"
