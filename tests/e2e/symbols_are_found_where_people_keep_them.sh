#!/bin/bash
# Symbols in the folders that pprof and debuginfod use, from a debuginfod server, and in those that the
# configuration file names: found by build-ID, and never taken from another build.
. "${srcdir:-.}/tests/e2e/lib.sh"
need_samples
for command in objcopy strip readelf nm; do
	command -v $command >/dev/null || skip "no $command"
done
codec=$samples/plugin_codec.so
other=$samples/plugin_nofp.so
dct=0x$(nm "$codec" | sed -n 's/^0*\([0-9a-f]*\) . codec_dct$/\1/p')
id=$(readelf -n "$codec" | sed -n 's/.*Build ID: //p')
export HOME=$work/home
unset XDG_CONFIG_HOME XDG_CACHE_HOME PPROF_BINARY_PATH DEBUGINFOD_URLS DEBUGINFOD_CACHE_PATH
mkdir -p "$HOME"
objcopy --only-keep-debug "$codec" "$work/codec.debug"
objcopy --only-keep-debug "$other" "$work/other.debug"
plugin=$work/lib/plugin.so
mkdir "$work/lib"
strip -o "$plugin" "$codec"

# named WORD STEP COMMAND...: the address has its name; a line of -v with STEP says where from.
named() {
	what=$1 step=$2
	shift 2
	"$@" symbolize -v --obj="$plugin" "$dct" >"$work/out" 2>"$work/err" || fail "$what: status $?"
	grep -Eq '^0x[0-9a-f]+: codec_dct at .*/plugin_codec.c:[0-9]+' "$work/out" ||
		fail "$what: no name: $(cat "$work/out")"
	grep -Eq "^plugprof: +$step" "$work/err" ||
		fail "$what: not from there: $(cat "$work/err")"
}
# nameless WORD COMMAND...
nameless() {
	what=$1
	shift
	"$@" symbolize -v --obj="$plugin" "$dct" >"$work/out" 2>"$work/err" || fail "$what: status $?"
	grep -q 'codec_dct' "$work/out" && fail "$what: it has a name: $(cat "$work/err")"
}
nameless nothing "$tool"

# --- what pprof finds ---
binaries=$HOME/pprof/binaries
while read -r place file; do
	mkdir -p "$(dirname "$binaries/$place")"
	cp "$file" "$binaries/$place"
	named "pprof $place" "pprof's binaries: $binaries/$place: taken: DWARF" "$tool"
	rm -r "$binaries"
done <<-END
	$id/plugin.so $codec
	$id/whatever $work/codec.debug
	${id:0:2}/${id:2}.debug $work/codec.debug
	plugin.so $codec
	${plugin#/} $codec
	${plugin#/}/$id $codec
END
mkdir -p "$work/binaries/$id" "$binaries"
cp "$codec" "$work/binaries/$id/x"
named 'PPROF_BINARY_PATH' "pprof's binaries: $work/binaries/$id/x: taken" \
	env PPROF_BINARY_PATH="/nowhere:$work/binaries" "$tool"
cp "$other" "$binaries/plugin.so"
nameless 'another build' "$tool"
grep -q "$binaries/plugin.so: build-ID .* instead of $id" "$work/err" ||
	fail "another build is not said to be one: $(cat "$work/err")"
rm -r "$binaries"

# --- the configuration ---
mkdir -p "$HOME/.config/plugprof" "$HOME/maps/.build-id/${id:0:2}"
cp "$work/codec.debug" "$HOME/maps/.build-id/${id:0:2}/${id:2}.debug"
printf '# ours\n\nsymbols = ~/maps\n  store=%s  \n' "$work/set" >"$HOME/.config/plugprof/config"
named 'symbols = ~/maps' "debug file by build-ID: $HOME/maps/" "$tool"
"$tool" map -q "$codec" || fail "map: status $?"
[ -s "$PLUGPROF_SYMBOLS/${id:0:2}/${id:2}.psym" ] || fail "PLUGPROF_SYMBOLS does not go before the configuration"
rm -r "$PLUGPROF_SYMBOLS"
env -u PLUGPROF_SYMBOLS "$tool" map -q "$codec" || fail "map: status $?"
[ -s "$work/set/${id:0:2}/${id:2}.psym" ] || fail "the store of the configuration is not used"
named store "symbol map: $work/set/.*: taken: lines" env -u PLUGPROF_SYMBOLS "$tool"
# The library in the program is told of it.
(cp "$codec" "$work/lib/gone.so" && unset PLUGPROF_SYMBOLS && rm "$work/set/${id:0:2}/"* &&
	record config --cpu -- "$samples/host" -t 0.2 --delete "$work/lib/gone.so")
[ -s "$work/set/${id:0:2}/${id:2}.elf" ] ||
	fail "record does not keep files in the store of the configuration: $(cat "$work/config.err")"
# A line that is wrong costs that line alone, and is said once.
printf 'stor = /x\nsymbols = maps\nwhat\nsymbols = %s/maps\n' "$HOME" >"$work/broken"
mkdir -p "$work/xdg/plugprof"
cp "$work/broken" "$work/xdg/plugprof/config"
named 'broken lines' "debug file by build-ID: $HOME/maps/" env XDG_CONFIG_HOME="$work/xdg" "$tool"
[ "$(grep -c "^plugprof: $work/xdg/plugprof/config:[123]: this line " "$work/err")" -eq 3 ] ||
	fail "not three lines about three: $(cat "$work/err")"
rm -r "$HOME/.config" "$HOME/maps" "$work/set"

# --- debuginfod ---
cache=$HOME/.cache/debuginfod_client/$id
mkdir -p "$cache"
cp "$work/codec.debug" "$cache/debuginfo"
named 'the cache' "debuginfod's cache: $cache/debuginfo: taken" "$tool"
mkdir -p "$work/cache"
mv "$cache" "$work/cache"
named 'DEBUGINFOD_CACHE_PATH' "debuginfod's cache: $work/cache/.*: taken" \
	env DEBUGINFOD_CACHE_PATH="$work/cache" "$tool"
cp "$work/other.debug" "$work/cache/$id/debuginfo"
nameless 'another build in the cache' env DEBUGINFOD_CACHE_PATH="$work/cache" "$tool"
: >"$work/cache/$id/debuginfo"
nameless 'what no server had' env DEBUGINFOD_CACHE_PATH="$work/cache" "$tool"
grep -q 'no server had it when last asked' "$work/err" || fail "no word of it: $(cat "$work/err")"
# The library itself, when it is nowhere else.
read -r export_address export_name < <(nm -D --defined-only "$plugin" | sed -n 's/^\(.*\) T /0x\1 /p' | head -n 1)
# by_itself WORD STEP COMMAND...: by the build-ID alone its export has its name.
by_itself() {
	what=$1 step=$2
	shift 2
	"$@" symbolize -v --build-id="$id" "$export_address" >"$work/out" 2>"$work/err"
	grep -q ": $export_name " "$work/out" || fail "$what: no name: $(cat "$work/out" "$work/err")"
	grep -Eq "^plugprof: +$step" "$work/err" || fail "$what: not from there: $(cat "$work/err")"
}
cp "$plugin" "$work/cache/$id/executable"
by_itself 'a library in the cache' "debuginfod's cache: $work/cache/$id/executable: taken: exported" \
	env DEBUGINFOD_CACHE_PATH="$work/cache" "$tool"
cp "$other" "$work/cache/$id/executable"
"$tool" symbolize --build-id="$id" "$export_address" >"$work/out" 2>"$work/err"
grep -q "$export_name" "$work/out" && fail "another build in the cache as a library: it has a name"
rm -r "$work/cache"

if ! command -v debuginfod >/dev/null || ! command -v debuginfod-find >/dev/null; then
	echo "without debuginfod: it is not installed"
	finish
fi
# It listens on all addresses: so in a network of its own.
if ! unshare -rn true 2>/dev/null || ! command -v ip >/dev/null; then
	echo "without debuginfod: no network namespaces, or no ip"
	finish
fi
export -f named nameless by_itself fail
export tool dct plugin work id failures export_name export_address
mkdir "$work/served"
cp "$work/codec.debug" "$work/served"
# shellcheck disable=SC2016 # the inner shell's
unshare -rn bash -u -c '
	ip link set lo up
	nameless "server down" env DEBUGINFOD_URLS=http://127.0.0.1:8002 "$tool"
	grep -q "debuginfod: http://127.0.0.1:8002: " "$work/err" || fail "server down: $(cat "$work/err")"
	rm -rf "$HOME/.cache"
	debuginfod -F -d ":memory:" -p 8002 "$work/served" >"$work/server.log" 2>&1 &
	server=$!
	url=http://127.0.0.1:8002
	for ((i = 0; i < 100; i++)); do
		DEBUGINFOD_URLS=$url DEBUGINFOD_CACHE_PATH=$work/warm \
			debuginfod-find debuginfo "$id" >/dev/null 2>&1 && break
		rm -rf "$work/warm"
		sleep 0.1
	done
	nameless "no URL" "$tool"
	named "a server" "debuginfod: $HOME/.cache/debuginfod_client/$id/debuginfo: taken" \
		env DEBUGINFOD_URLS=$url "$tool"
	# Another server, which has the stripped library alone.
	kill $server
	wait $server
	mv "$work/served/codec.debug" "$work"
	mv "$HOME/.cache" "$work/fetched"
	cp "$plugin" "$work/served"
	debuginfod -F -d ":memory:" -p 8002 "$work/served" >"$work/server.log" 2>&1 &
	server=$!
	for ((i = 0; i < 100; i++)); do
		DEBUGINFOD_URLS=$url DEBUGINFOD_CACHE_PATH=$work/warm \
			debuginfod-find executable "$id" >/dev/null 2>&1 && break
		rm -rf "$work/warm"
		sleep 0.1
	done
	by_itself "the library of a server" \
		"debuginfod: $HOME/.cache/debuginfod_client/$id/executable: taken: exported" \
		env DEBUGINFOD_URLS=$url "$tool"
	kill $server
	rm -r "$HOME/.cache"
	mv "$work/fetched" "$HOME/.cache"
	named "fetched before" "debuginfod.s cache: " "$tool"
	exit $failures'
failures=$((failures + $?))
finish
