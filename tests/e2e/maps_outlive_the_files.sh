#!/bin/bash
# A symbol map is made before strip; then the stripped, deleted, rebuilt plugin has its names all the
# same: functions, inlined ones, files, lines and columns as by its debug information.
. "${srcdir:-.}/tests/e2e/lib.sh"
need_samples
for command in strip readelf python3; do
	command -v $command >/dev/null || skip "no $command"
done
store=$work/store
export PLUGPROF_SYMBOLS=$work/none

# --- a map says what the debug information says, at every address ---
for library in "$samples"/plugin_*.so "$samples/goplugin.so" "$samples/cxxhost" "$tool"; do
	[ -e "$library" ] || continue
	"$tool" map -q -o "$store" "$library" || fail "map $library: status $?"
	python3 - "$library" >"$work/addresses" <<'PYTHON'
import random, subprocess, sys
random.seed(1)
lines = subprocess.run(["readelf", "-lW", sys.argv[1]], capture_output=True, text=True).stdout
code = [l.split() for l in lines.splitlines() if l.split()[:1] == ["LOAD"] and "E" in l[60:90]]
for _ in range(5000):
    segment = random.choice(code)
    print(hex(int(segment[2], 16) + random.randrange(int(segment[5], 16))))
PYTHON
	"$tool" symbolize -e "$library" --format=json <"$work/addresses" >"$work/by_dwarf" 2>/dev/null
	"$tool" symbolize -e "$library" --format=json -s "$store" <"$work/addresses" >"$work/by_map" 2>/dev/null
	[ "$(wc -l <"$work/by_map")" -eq 5000 ] || fail "$library: $(wc -l <"$work/by_map") answers"
	cmp -s "$work/by_dwarf" "$work/by_map" ||
		fail "$library: $(diff "$work/by_dwarf" "$work/by_map" | head -n 4)"
done

# --- the plugin is stripped and later gone: raw profile, then names ---
plugin=$work/plugin.so
cp "$samples/plugin_codec.so" "$plugin"
build_id=$(readelf -n "$plugin" | sed -n 's/.*Build ID: //p')
"$tool" map -q -o "$work/maps" "$plugin" || fail "map: status $?"
map=$work/maps/${build_id:0:2}/${build_id:2}.psym
[ -s "$map" ] || fail "no $map"
strip -s "$plugin"
record_well raw --raw -F 1000 -- "$samples/host" -t 0.3 "$plugin"
rm "$plugin"
PLUGPROF_SYMBOLS=$work/none "$tool" symbolize -q "$work/raw.pb.gz" -o "$work/without.pb.gz"
PLUGPROF_SYMBOLS=$work/maps "$tool" symbolize -q "$work/raw.pb.gz" -o "$work/named.pb.gz"
"$tool" inspect "$work/named.pb.gz" >"$work/out"
grep -Eq '100.0% [0-9a-f]+ +map +.*plugin.so: .*symbol map' "$work/out" || fail "inspect: $(cat "$work/out")"
if [ -x "$go" ]; then
	"$go" tool pprof -top -lines "$work/named.pb.gz" >"$work/out" 2>&1
	grep -q 'codec_huffman .*plugin_codec.c:[0-9]' "$work/out" || fail "pprof: $(head -n 20 "$work/out")"
	grep -q 'codec_bit .*(inline)' "$work/out" || fail "no inlined function: $(head -n 20 "$work/out")"
	"$go" tool pprof -top "$work/without.pb.gz" 2>&1 | grep -q codec_huffman && fail "named without a map"
fi

# --- torn, damaged, foreign maps are "not here"; --verify names them ---
"$tool" map --verify "$work/maps" 2>/dev/null || fail "a good store does not verify"
cp "$map" "$work/whole"
head -c 1000 "$map" >"$work/torn"
: >"$work/empty"
cp "$map" "$work/changed"
printf x | dd of="$work/changed" bs=1 seek=900 conv=notrunc 2>/dev/null
for other in "$store"/*/*.psym; do
	# The same build's under another file name is not foreign.
	[ "${other##*/}" = "${map##*/}" ] || cp "$other" "$work/foreign"
done
for damage in torn empty changed foreign; do
	cp "$work/$damage" "$map" || fail "no $damage map"
	"$tool" map --verify "$work/maps" 2>"$work/err" && fail "$damage verifies"
	grep -qF "$map" "$work/err" || fail "$damage: --verify does not name it: $(cat "$work/err")"
	"$tool" symbolize --build-id="$build_id" -s "$work/maps" 0x1150 >"$work/out" 2>/dev/null
	grep -q codec_ "$work/out" && fail "$damage names"
done
cp "$work/whole" "$map"
"$tool" symbolize --build-id="$build_id" -s "$work/maps" 0x1150 2>&1 | grep -q codec_ || fail "whole does not name"

# --- many writers at once, some of them killed ---
for round in 1 2 3; do
	for _ in 1 2 3 4 5 6 7 8; do
		"$tool" map -q -o "$work/shared" "$tool" &
		pids="${pids:-} $!"
	done
	sleep 0.0$round
	# shellcheck disable=SC2086 # words
	kill -9 ${pids% *} 2>/dev/null
	wait 2>/dev/null
	pids=
	"$tool" map --verify "$work/shared" 2>"$work/err" || [ ! -d "$work/shared" ] ||
		fail "after killed writers: $(cat "$work/err")"
done
"$tool" map -q -o "$work/shared" "$tool" || fail "no map after killed writers"
"$tool" map --verify "$work/shared" 2>/dev/null || fail "a map after killed writers does not verify"

# --- a store on a full disk, and one that cannot be written to, leave nothing half-made ---
mkdir "$work/full"
(
	ulimit -f 4 # blocks of 1 KiB: the map does not fit
	trap '' XFSZ
	"$tool" map -o "$work/full" "$tool" 2>"$work/err"
) && fail "wrote to a full disk"
grep -q "^plugprof: cannot map $tool into $work/full: File too large" "$work/err" ||
	fail "full disk: $(cat "$work/err")"
[ -z "$(find "$work/full" -type f)" ] || fail "full disk: $(find "$work/full" -type f) is left"
if mkdir "$work/small" && mount -t tmpfs -o size=64k none "$work/small" 2>/dev/null; then
	"$tool" map -o "$work/small" "$tool" 2>"$work/err" && fail "wrote to a full tmpfs"
	grep -q "^plugprof: cannot map $tool into $work/small: No space left" "$work/err" ||
		fail "full tmpfs: $(cat "$work/err")"
	[ -z "$(find "$work/small" -type f)" ] || fail "full tmpfs: $(find "$work/small" -type f) is left"
	mount -o remount,ro "$work/small"
	"$tool" map -o "$work/small" "$samples/plugin_codec.so" 2>"$work/err" && fail "wrote to a read-only store"
	grep -q "^plugprof: cannot map .* into $work/small: Read-only file system" "$work/err" ||
		fail "read-only: $(cat "$work/err")"
	umount "$work/small"
fi

# --- a whole tree, with what cannot be mapped counted; a store that cannot be written ---
mkdir "$work/tree"
cp "$samples"/plugin_*.so "$work/tree"
echo text >"$work/tree/notes.so"
"$tool" map --all -o "$work/all" "$work/tree" 2>"$work/err" || fail "--all: $(cat "$work/err")"
count=$(find "$work/all" -name '*.psym' | wc -l)
grep -q "^plugprof: $count mapped, " "$work/err" || fail "--all: $count maps, $(cat "$work/err")"
# A terminal shows how far it is.
if command -v script >/dev/null; then
	rm -r "$work/all"
	script -qec "'$tool' map --all -o '$work/all' '$work/tree'" "$work/typed" >/dev/null </dev/null
	grep -q "plugprof: [0-9]* of $count files" "$work/typed" || fail "no progress: $(cat "$work/typed")"
fi
echo >"$work/file"
"$tool" map -o "$work/file/store" "$samples/plugin_codec.so" 2>"$work/err" && fail "wrote below a file"
grep -q "^plugprof: cannot map .*: Not a directory" "$work/err" || fail "says: $(cat "$work/err")"

# --- one without lines does not replace one with lines ---
cp "$samples/plugin_codec.so" "$work/again.so"
strip -g "$work/again.so"
"$tool" map -o "$work/maps" "$work/again.so" 2>"$work/err" || fail "map again: $(cat "$work/err")"
grep -q 'is kept, it has lines' "$work/err" || fail "says: $(cat "$work/err")"
cmp -s "$work/whole" "$map" || fail "a map with lines was replaced"

# --- --dump ---
"$tool" map --dump "$map" | grep -q '^0x[0-9a-f]*-0x[0-9a-f]* codec_.* at .*plugin_codec.c:' ||
	fail "--dump: $("$tool" map --dump "$map" | head)"
"$tool" map --dump --json "$map" | python3 -c '
import json, sys
lines = [json.loads(line) for line in sys.stdin]
assert lines[0]["build_id"] == sys.argv[1] and lines[0]["has_lines"], lines[0]
assert any(f["function"] or f["linkage_name"] for l in lines[1:] for f in l["frames"])' "$build_id" ||
	fail "--dump --json"
finish
