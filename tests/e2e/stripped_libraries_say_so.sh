#!/bin/bash
# A plugin that was stripped, whose debug info is elsewhere, or whose file is another one by the time
# names are looked up: inspect gives the verdict and the reason, and no name is a guess.
. "${srcdir:-.}/tests/e2e/lib.sh"
need_samples
need_go
for command in objcopy strip readelf; do
	command -v $command >/dev/null || skip "no $command"
done
plugin=$work/plugin.so
cp "$samples/host" "$work/host"
build_id=$(readelf -n "$samples/plugin_codec.so" | sed -n 's/.*Build ID: //p')

# A fresh plugin, the same build each time.
fresh() {
	rm -rf "$plugin" "$work/debug" "$work/plugin.debug" "$work/.debug"
	cp "$samples/plugin_codec.so" "$plugin"
}

# recorded NAME [OPTION...]
recorded() {
	record_well "$1" -F 1000 --keep=never "${@:2}" -- "$work/host" -t 0.3 "$plugin"
}

# verdict NAME WORD REASON: inspect's line for the plugin.
verdict() {
	"$tool" inspect "$work/$1.pb.gz" >"$work/out" 2>&1 || fail "inspect $1: status $?"
	grep -E "^ +[0-9]+ +[0-9.]+% +${build_id:0:12} +$2 +$plugin: .*$3" "$work/out" || {
		fail "$1: plugin.so is not \"$2 ... $3\""
		cat "$work/out"
	}
}

# names NAME: the plugin's functions that the profile knows, in one line.
names() {
	stacks "$1"
	tr '\t' '>' <"$work/stacks" | sed 's/ > />/g' | tr '>' '\n' |
		grep -E '^(codec_|plugin_run$|plugin\.so!)' | sort -u | tr '\n' ' '
}

fresh
recorded whole
verdict whole dwarf 'in the file'
[ "$(names whole)" = 'codec_bit codec_dct codec_encode codec_huffman codec_quantize plugin_run ' ] ||
	fail "whole: $(names whole)"

# strip -g: the symbol table is left: static functions have names, lines are gone, inlined functions
# are part of what they are in.
fresh
strip -g "$plugin"
recorded no_debug
verdict no_debug symbols 'no debug info but .symtab'
[ "$(names no_debug)" = 'codec_dct codec_encode codec_huffman codec_quantize plugin_run ' ] ||
	fail "strip -g: $(names no_debug)"
pprof no_debug -raw
has_not 'plugin_codec\.c'
every_stack_is_whole no_debug "$any_root"

# strip -s: only what is exported has its name; the rest is named by where it starts.
fresh
strip -s "$plugin"
recorded stripped
verdict stripped exports-only 'stripped, no debug file for build-ID'
names=$(names stripped)
[[ $names =~ ^(plugin\.so!fn_[0-9a-f]+\ )+plugin_run\ $ ]] || fail "strip -s: $names"
[ "$(wc -w <<<"$names")" -eq 5 ] || fail "strip -s: not four functions without a name: $names"
every_stack_is_whole stripped "$any_root"
grep -E '^plugprof: [0-9.]+% of frames resolved; worst plugin\.so \(.*stripped, no debug file' "$work/stripped.err" ||
	fail "record does not say which library is the worst: $(cat "$work/stripped.err")"

# ... and those are the functions: each fn_ADDRESS is the start of one of the original's.
readelf -sW "$samples/plugin_codec.so" | awk '$4 == "FUNC" { sub(/^0+/, "", $2); print "plugin.so!fn_" $2 }' |
	sort -u >"$work/starts"
tr ' ' '\n' <<<"$names" | grep '!' | sort -u | comm -23 - "$work/starts" | grep . &&
	fail "strip -s: a name that is not a function's start"

# The debug file kept under its build-ID, given to symbolize later.
fresh
mkdir -p "$work/debug/.build-id/${build_id:0:2}"
objcopy --only-keep-debug "$plugin" "$work/debug/.build-id/${build_id:0:2}/${build_id:2}.debug"
strip -s "$plugin"
recorded later --raw
"$tool" symbolize -q -o "$work/by_folder.pb.gz" --symbols="$work/debug" "$work/later.pb.gz" ||
	fail "symbolize --symbols: status $?"
verdict by_folder dwarf "debug file $work/debug"
[ "$(names by_folder)" = "$(names whole)" ] || fail "--symbols: $(names by_folder)"
pprof by_folder -raw
has '/plugin_codec\.c:[1-9]'
"$tool" symbolize -q -o "$work/without.pb.gz" "$work/later.pb.gz" || fail "symbolize: status $?"
verdict without exports-only 'no debug file'

# A debug file of another build under this build-ID's name is not used.
objcopy --only-keep-debug "$samples/plugin_nofp.so" "$work/debug/.build-id/${build_id:0:2}/${build_id:2}.debug"
"$tool" symbolize -q -o "$work/wrong.pb.gz" --symbols="$work/debug" "$work/later.pb.gz" ||
	fail "symbolize --symbols with a wrong one: status $?"
verdict wrong exports-only 'stripped'
[ "$(names wrong)" = "$(names without)" ] || fail "wrong debug file: $(names wrong)"

# Debuglink: beside the plugin, or in .debug/.
for folder in . .debug; do
	fresh
	mkdir -p "$work/$folder"
	objcopy --only-keep-debug "$plugin" "$work/$folder/plugin.debug"
	(cd "$work/$folder" && objcopy --strip-all --add-gnu-debuglink=plugin.debug "$plugin")
	recorded link
	verdict link dwarf 'plugin.debug'
	[ "$(names link)" = "$(names whole)" ] || fail "debuglink in $folder: $(names link)"
done

# The file is another build by the time names are looked up.
fresh
recorded replaced_raw --raw
rm "$plugin"
cp "$samples/plugin_nofp.so" "$plugin"
"$tool" symbolize -q -o "$work/replaced.pb.gz" "$work/replaced_raw.pb.gz" || fail "symbolize: status $?"
verdict replaced file-replaced 'file replaced'
names=$(names replaced)
[[ $names =~ ^(plugin\.so!0x[0-9a-f]+\ )+$ ]] || fail "replaced: $names"
grep nofp "$work/stacks" && fail "replaced: names of the other build"

# Or it is gone, while the program runs.
cp "$samples/plugin_codec.so" "$plugin"
record gone -F 1000 --keep=never -- "$work/host" -t 0.3 --delete "$plugin"
pprof gone -raw
has "plugin\\.so $build_id"
has_not '\(deleted\)'
"$tool" inspect "$work/gone.pb.gz" >"$work/out"
has 'plugin\.so: file missing, .*; not kept: keep=never$'
finish
