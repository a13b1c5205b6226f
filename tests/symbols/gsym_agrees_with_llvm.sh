#!/bin/bash
# What we export as GSYM llvm-gsymutil reads whole, and finds in it what we find: functions, inlined
# ones, files and lines, of C, C++, Rust and Go.
#
#   COUNT     addresses of each library (default 3000)
#   OBJECTS   more libraries
. "${srcdir:-.}/tests/e2e/lib.sh"
need_samples
for command in python3 readelf; do
	command -v $command >/dev/null || skip "no $command"
done
gsymutil=$(command -v llvm-gsymutil llvm-gsymutil-14 | head -n 1)
[ -n "$gsymutil" ] || skip "no llvm-gsymutil"

# compare LIBRARY
compare() {
	"$tool" map --gsym "$work/gsym" "$1" || fail "map --gsym $1: status $?"
	"$gsymutil" "$work/gsym" >"$work/dump" 2>&1 || fail "$1: $(tail -n 3 "$work/dump")"
	[ "$(grep -c '^FunctionInfo @' "$work/dump")" -eq "$(grep -c '^\[ *[0-9]*\] 0x.*(' "$work/dump")" ] ||
		fail "$1: $(grep -c '^FunctionInfo @' "$work/dump") functions are read"
	python3 -B "$source_folder/tests/symbols/compare_gsym.py" "$tool" "$gsymutil" "$1" \
		"$work/gsym" "${COUNT:-3000}" >"$work/out" 2>&1 || fail "$(head -n 12 "$work/out")"
	tail -n 1 "$work/out"
}

for library in "$samples"/plugin_*.so "$samples/cxxhost" "$samples/goplugin.so" "$tool" "$agent" \
	/lib/x86_64-linux-gnu/libc.so.6 ${OBJECTS:-}; do
	[ -e "$library" ] && compare "$library"
done
if command -v clang++ >/dev/null; then
	clang++ -g -O2 -shared -fPIC -Wl,--build-id "$source_folder/tests/fixtures/plugin.cc" \
		-I"$source_folder/tests/fixtures" -o "$work/clang.so" && compare "$work/clang.so"
fi

# --- a map of a library that is gone; what cannot be exported ---
cp "$samples/plugin_codec.so" "$work/gone.so"
"$tool" map -q -o "$work/maps" "$work/gone.so"
"$tool" map --gsym "$work/whole" "$work/gone.so"
rm "$work/gone.so"
"$tool" map --gsym "$work/gsym" "$work"/maps/*/*.psym || fail "a map is not exported: status $?"
cmp -s "$work/gsym" "$work/whole" || fail "a map and its library are not the same in GSYM"
"$tool" map --gsym "$work/none" "$work/gone.so" 2>"$work/err" && fail "a missing library is exported"
grep -q "^plugprof: cannot map $work/gone.so into $work/none: No such file" "$work/err" ||
	fail "says: $(cat "$work/err")"
"$tool" map --gsym "$work/none" "$tool" "$agent" 2>/dev/null
[ $? -eq 2 ] || fail "two libraries go into one GSYM file"
[ ! -e "$work/none" ] || fail "a failure left a file"
finish
