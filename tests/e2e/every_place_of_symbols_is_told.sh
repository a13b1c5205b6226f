#!/bin/bash
# plugprof symbolize -v and record -v: where the symbols of a library were looked for, in the order of
# the man page, why each place was no help, and who answered; a file of another build is refused, and
# both build-IDs are said, without -v too.
. "${srcdir:-.}/tests/e2e/lib.sh"
need_samples
for command in objcopy strip readelf nm; do
	command -v $command >/dev/null || skip "no $command"
done
codec=$samples/plugin_codec.so
other=$samples/plugin_nofp.so
plugin=$work/plugin.so
dct=0x$(nm "$codec" | sed -n 's/^0*\([0-9a-f]*\) . codec_dct$/\1/p')
id_of() {
	readelf -n "$1" | sed -n 's/.*Build ID: //p'
}
id=$(id_of "$codec")
other_id=$(id_of "$other")
debug=$work/debug/.build-id/${id:0:2}/${id:2}.debug
entry=$PLUGPROF_SYMBOLS/${id:0:2}/${id:2}
mkdir -p "$(dirname "$debug")" "$(dirname "$entry")"
strip -o "$plugin" "$codec"
cp "$plugin" "$work/stripped.so"

# asked OPTION...: the steps for one address of the plugin in $work/out, messages without "plugprof: ".
asked() {
	"$tool" symbolize "$@" "$dct" >"$work/answer" 2>"$work/err" || fail "symbolize $*: status $?"
	sed 's/^plugprof: *//' "$work/err" >"$work/out"
}
# told LINE: it is one of them.
told() {
	grep -Fqx -- "$1" "$work/out" || {
		fail "not told: $1"
		cat "$work/out"
	}
}

# Nothing anywhere.
asked -v --build-id="$id" -e "$plugin" -s "$work/debug"
told "$plugin, build-ID $id: exports-only"
told "own path: $plugin: taken: exported symbols in it"
told "symbol map: $entry.psym: absent"
told "kept file: $entry.elf: absent"
told "debug file by build-ID: $debug: absent"
told "debug file by build-ID: /usr/lib/debug/${debug#*debug/}: absent"
told 'addresses answered: 1 by .eh_frame'
# Each once, and in this order.
sed -n 's/^\(own path\|symbol map\|kept file\|debug file by build-ID\|debug link\): .*/\1/p' "$work/out" |
	uniq >"$work/order"
sed -n '/^\.Sh WHERE SYMBOLS/,/^\.El/s/^\.It Sy //p' "$source_folder/man/plugprof-symbolize.1" >"$work/page"
sed -n '/\[PLACE_/s/.*"\(.*\)".*/\1/p' "$source_folder/src/symbol/trail.c" >"$work/table"
cmp "$work/page" "$work/table" || fail "the man page has another order than the code"
grep -Fxf "$work/order" "$work/page" | cmp - "$work/order" || fail "the order is another one than the man page's"

# Files of another build everywhere, damaged ones, and one without symbols.
cp "$other" "$entry.elf"
objcopy --only-keep-debug "$other" "$debug"
echo 'no map' >"$entry.psym"
asked -v --build-id="$id" -e "$plugin" -s "$work/debug"
told "symbol map: $entry.psym: no symbol map, or damaged"
told "kept file: $entry.elf: build-ID $other_id instead of $id"
told "debug file by build-ID: $debug: build-ID $other_id instead of $id"
asked --build-id="$id" -e "$plugin" -s "$work/debug"
told "$debug is not used: build-ID $other_id instead of $id"
told "$entry.elf is not used: build-ID $other_id instead of $id"
asked -q --build-id="$id" -e "$plugin" -s "$work/debug"
grep 'not used' "$work/err" && fail "-q says it too"
cp "$other" "$plugin"
asked -v --build-id="$id" -e "$plugin"
told "own path: $plugin: build-ID $other_id instead of $id"
told 'addresses answered: 1 by nothing'
rm "$entry".*
asked -v --build-id="$id" -e "$work"
told "own path: $work: not an x86-64 ELF file, or damaged"
cp "$work/stripped.so" "$plugin"
strip -R .dynsym "$plugin" 2>/dev/null
objcopy --only-keep-debug "$plugin" "$debug"
asked -v --build-id="$id" -e "$plugin" -s "$work/debug"
told "debug file by build-ID: $debug: not needed: no symbols in it"

# What is found ends the search: the places behind it are not looked at.
objcopy --only-keep-debug "$codec" "$debug"
asked -v --build-id="$id" -e "$plugin" -s "$work/debug"
told "debug file by build-ID: $debug: taken: DWARF in it"
told 'addresses answered: 1 by DWARF'
grep -q '^debug file by build-ID: /usr/lib' "$work/out" && fail "it went on looking"
"$tool" map -q -o "$PLUGPROF_SYMBOLS" "$codec" || fail "map: status $?"
asked -v --build-id="$id" -e "$plugin" -s "$work/debug"
told "symbol map: $entry.psym: taken: lines in it"
told 'addresses answered: 1 by symbol map'
grep -q '^debug file' "$work/out" && fail "it went on looking"
rm "$entry".psym

# A debug link: by checksum where there is no build-ID.
objcopy -R .note.gnu.build-id "$codec" "$work/anonymous.so"
objcopy --only-keep-debug "$work/anonymous.so" "$work/anonymous.debug"
(cd "$work" && objcopy --strip-all --add-gnu-debuglink=anonymous.debug anonymous.so)
asked -v -e "$work/anonymous.so"
told "debug link: $work/anonymous.debug: taken: DWARF in it"
objcopy --only-keep-debug -R .note.gnu.build-id "$other" "$work/anonymous.debug"
asked -v -e "$work/anonymous.so"
grep -Eqx "debug link: $work/anonymous.debug: CRC [0-9a-f]{8} instead of [0-9a-f]{8}" "$work/out" ||
	fail "no word of the checksum: $(cat "$work/out")"
told "debug link: $work/.debug/anonymous.debug: absent"

# Profiles: by symbolize, and at the end of record.
record raw -v --cpu --raw --keep=never -- "$samples/host" -t 0.2 "$codec"
grep -q 'own path' "$work/raw.err" && fail "record --raw looked for symbols"
"$tool" symbolize -v -o "$work/named.pb.gz" "$work/raw.pb.gz" 2>"$work/err" || fail "symbolize: status $?"
sed 's/^plugprof: *//' "$work/err" >"$work/out"
told "$codec, build-ID $id: dwarf"
told "own path: $codec: taken: DWARF in it"
grep -Eq '^addresses answered: [0-9]+ by DWARF' "$work/out" || fail "nobody answered: $(cat "$work/out")"
record all -v --cpu --keep=never -- "$samples/host" -t 0.2 "$codec"
grep -Fq "plugprof:   own path: $codec: taken: DWARF in it" "$work/all.err" || fail "record -v: $(cat "$work/all.err")"

# The store of the recording is this machine's: it is searched once.
mkdir -p "$PLUGPROF_SYMBOLS"
"$tool" symbolize -v -o "$work/named.pb.gz" "$work/raw.pb.gz" 2>"$work/err" || fail "symbolize: status $?"
[ "$(grep -c "symbol map: $PLUGPROF_SYMBOLS/${id:0:2}/" "$work/err")" -eq 1 ] ||
	fail "not one look into the store: $(cat "$work/err")"
finish
