#!/bin/bash
# plugprof clean: takes kept files that are old, too much, or another build by now; nothing else, and not
# from under a recording.
. "${srcdir:-.}/tests/e2e/lib.sh"
need_samples
need_helper reload
export PLUGPROF_SYMBOLS="$work/store:$work/second"

clean() { # ARGUMENT...: its output in $work/out
	wait_no_longer_than 60 "$tool" clean "$@" >"$work/out" 2>"$work/err" ||
		fail "clean $*: status $?: $(cat "$work/err")"
	[ -s "$work/err" ] && fail "clean $* says: $(cat "$work/err")"
}
kept() { # how many files are in the store
	find "$work/store" -name '*.elf' | wc -l
}

# No store is nothing to do.
clean
has '^removed 0 files, 0 B freed; 0 files, 0 B left$'

cp "$samples/plugin_codec.so" "$samples/plugin_nofp.so" "$work"
record_well host -F 1000 -- "$samples/host" -t 0.1 "$work/plugin_codec.so" "$work/plugin_nofp.so"
files=$(kept)
[ "$files" -ge 2 ] || fail "$files files were kept"
clean
has "^removed 0 files, 0 B freed; $files files, "
clean --dry-run --verbose --older-than 0
has "^would remove $work/store/[0-9a-f]{2}/[0-9a-f]+\\.elf: old, kept 0 hours ago, "
has "^would remove $files files, "
[ "$(kept)" -eq "$files" ] || fail "--dry-run removes"

# A file that was written to through its other name, or in the store, is no build of that name.
build_id=$(readelf -n "$work/plugin_codec.so" | sed -n 's/.*Build ID: //p')
entry=$work/store/${build_id:0:2}/${build_id:2}.elf
[ -f "$entry" ] || fail "no $entry"
cat "$work/plugin_nofp.so" >"$work/plugin_codec.so"
cmp -s "$entry" "$work/plugin_codec.so" || cat "$work/plugin_nofp.so" >"$entry" # it was no link
clean
has "^removed $entry: not the build that its name says"
has "^removed 1 file, .*; $((files - 1)) files?, "
[ -e "$entry" ] && fail "$entry is still there"

# Libraries without build-ID, by their contents.
$cc -shared -fPIC -Wl,--build-id=none -o "$work/no_id.so" -include "$source_folder/samples/work.h" \
	-I"$source_folder/samples" "$source_folder/samples/plugin_codec_hidden.c" \
	"$source_folder/samples/plugin_codec.c" 2>"$work/err" || fail "cannot build no_id.so: $(cat "$work/err")"
record no_id -F 1000 -- "$samples/host" -t 0.1 "$work/no_id.so"
[ "$(find "$work/store" -name '*.content.elf' | wc -l)" -eq 1 ] || fail "no_id.so is not kept"
clean
has '^removed 0 files'
# A copy counts, a hard link does not: it takes no room.
clean --max-size 0
[ "$(find "$work/store" -name '*.elf' -links 1 | wc -l)" -eq 0 ] || fail "--max-size 0 leaves files"
clean -q --older-than 0
[ -s "$work/out" ] && fail "--quiet says: $(cat "$work/out")"
[ "$(kept)" -eq 0 ] || fail "--older-than 0 leaves $(kept) files"

# While plugins are kept: the host runs as ever, and the profile is whole.
(
	while [ ! -e "$work/over" ]; do
		"$tool" clean -q --older-than 0 || echo "clean: status $?"
	done
) >"$work/cleaner" 2>&1 &
cleaner=$!
cp "$samples/plugin_codec.so" "$work/plugin_codec.so"
for _ in 1 2 3; do
	record_well busy -F 1000 -- "$helpers/reload" 200 "$work/plugin_codec.so" "$work/plugin_nofp.so"
	[ "$(cat "$work/busy.out")" = "done" ] || fail "reload: $(cat "$work/busy.out")"
done
touch "$work/over"
wait $cleaner
[ -s "$work/cleaner" ] && fail "cleaning while recording: $(sort "$work/cleaner" | uniq -c)"

# Not ours to clean.
ln -s store "$work/link"
refused() { # NAMED ARGUMENT...
	local named=$1
	shift
	"$tool" clean "$@" >"$work/out" 2>"$work/err" && fail "clean $*: status 0"
	[ "$(wc -l <"$work/err")" -eq 1 ] || fail "clean $*: $(cat "$work/err")"
	grep -qF -- "$named" "$work/err" || fail "clean $* does not name $named: $(cat "$work/err")"
}
refused 'symbolic link' --store "$work/link"
refused "$work/nowhere" --store "$work/nowhere"
refused "$work/no_id.so" --store "$work/no_id.so"
refused '"soon"' --older-than soon
refused '"1x"' --max-size 1x
refused --store "$work/store"
if [ "$(id -u)" -eq 0 ] && mkdir "$work/foreign" && chown 65534 "$work/foreign" 2>/dev/null; then
	refused 'another user' --store "$work/foreign"
fi
finish
