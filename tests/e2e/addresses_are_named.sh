#!/bin/bash
# plugprof symbolize --obj: the addresses of a library, from the command line and from stdin, as text,
# JSON and as llvm-symbolizer prints them; by build-ID; --strict.
. "${srcdir:-.}/tests/e2e/lib.sh"
need_samples
for command in nm python3 strip readelf objcopy; do
	command -v $command >/dev/null || skip "no $command"
done
codec=$samples/plugin_codec.so
shapes=$samples/plugin_shapes.so
export PLUGPROF_SYMBOLS=$work/store
dct=0x$(nm "$codec" | sed -n 's/^0*\([0-9a-f]*\) . codec_dct$/\1/p')
build_id=$(readelf -n "$codec" | sed -n 's/.*Build ID: //p')

# says EXPECTED STATUS ARGUMENT...: on stdout, as a regular expression for the first line.
says() {
	expected=$1 status=$2
	shift 2
	"$tool" symbolize "$@" >"$work/out" 2>"$work/err" </dev/null
	got=$?
	[ $got -eq "$status" ] || fail "status $got, not $status: symbolize $*: $(cat "$work/err")"
	if [ -z "$expected" ]; then
		[ ! -s "$work/out" ] || fail "on stdout: symbolize $*"
		return
	fi
	head -n 1 "$work/out" | grep -Eq "$expected" || fail "symbolize $*: $(head -n 2 "$work/out")"
}

says "^$dct: codec_dct at .*/plugin_codec.c:[0-9]+:[0-9]+$" 0 --obj="$codec" "$dct"
says '^0x0: plugin_codec.so!0x0 at \?\?$' 0 -e "$codec" 0x0
grep -q '1 of 1 addresses of .* have no name: ' "$work/err" || fail "no reason: $(cat "$work/err")"
says '^0x0: ' 3 -e "$codec" --strict 0x0
says '^codec_dct$' 0 -e "$codec" --format=llvm "$dct"
says '' 1 -e "$codec" nonsense
says '' 1 -e "$work/missing.so" 0x0
says '' 2 -e "$codec" --format=nonsense 0x0
says '' 2 -e "$codec" --demangle=nonsense 0x0
says '' 2 --build-id=abc 0x0

# Another build than the one that is asked for is refused.
says '^0x[0-9a-f]+: plugin_shapes.so!0x' 3 --strict -e "$shapes" --build-id="$build_id" "$dct"
grep -q 'file replaced: it has build-ID' "$work/err" || fail "no refusal: $(cat "$work/err")"

# By build-ID alone, from a folder of debug files.
mkdir -p "$work/debug/.build-id/${build_id:0:2}"
objcopy --only-keep-debug "$codec" "$work/debug/.build-id/${build_id:0:2}/${build_id:2}.debug"
says ': codec_dct at .*plugin_codec.c:' 0 --build-id="$build_id" --symbols="/none:$work/debug" "$dct"
says '^0x[0-9a-f]+: \[anonymous\]!0x|!0x' 3 --strict --build-id="$build_id" "$dct"

# Names: without parameters, with them, as the linker knows them.
circle=0x$(nm "$shapes" | sed -n 's/^0*\([0-9a-f]*\) . _ZN4acme6shapes6circleD0Ev$/\1/p')
says ': acme::shapes::circle::~circle at ' 0 -e "$shapes" "$circle"
says ': acme::shapes::circle::~circle\(\) at ' 0 -e "$shapes" --demangle=full "$circle"
says ': _ZN4acme6shapes6circleD0Ev at ' 0 -e "$shapes" --demangle=none "$circle"

# Every function of both libraries, from stdin, in the order given, in JSON.
for library in "$codec" "$shapes"; do
	nm -S --defined-only "$library" | sed -n 's/^0*\([0-9a-f]*\) [0-9a-f]* [tTwW] .*/\1/p' |
		sort -R --random-source="$library" >"$work/addresses"
	"$tool" symbolize -e "$library" --format=json <"$work/addresses" >"$work/json" || fail "status $?"
	python3 - "$work/addresses" "$work/json" <<'PYTHON' || fail "JSON of $library"
import json, sys
addresses = [int(line, 16) for line in open(sys.argv[1])]
answers = [json.loads(line) for line in open(sys.argv[2])]
assert [int(a["address"], 16) for a in answers] == addresses, "order"
assert all(a["resolved"] and a["frames"] for a in answers)
assert sum(a["frames"][0]["line"] > 0 for a in answers) > len(answers) / 2
PYTHON
	# What LLVM's own tool says, where it is there, in the same form.
	if command -v llvm-symbolizer >/dev/null && [ "$library" = "$codec" ]; then
		sed -i 's/^/0x/' "$work/addresses"
		"$tool" symbolize -e "$library" --format=llvm <"$work/addresses" >"$work/ours"
		llvm-symbolizer --obj="$library" <"$work/addresses" >"$work/theirs"
		diff "$work/ours" "$work/theirs" >"$work/diff" || fail "not as LLVM: $(head "$work/diff")"
	fi
done
finish
