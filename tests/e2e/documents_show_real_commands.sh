#!/bin/bash
# Every command that README.md and the EXAMPLES of the man pages show can be typed as it is:
# each block is run, document by document, in a folder that holds the samples.
#
#   README.md   a fence ```sh is run; ```sh status=N must end with N; ```sh not-run is not run
#   man/*       .Dl lines and .Bd blocks below .Sh EXAMPLES; the line before may say
#               .\" status=N  or  .\" not-run: WHY
#
# /usr/local/lib/plugprof/libplugprof.so stands for the library that was built.
. "${srcdir:-.}/tests/e2e/lib.sh"
need_samples

installed=/usr/local/lib/plugprof/libplugprof.so
for needed in readelf objcopy strip timeout; do
	command -v "$needed" >/dev/null || skip "$needed is not installed"
done
grep -q "$installed" "$source_folder/README.md" || fail "README.md does not name $installed"

export XDG_RUNTIME_DIR=$spool
PATH=$(dirname "$tool"):$PATH
[ -z "$go" ] || PATH=$PATH:$(dirname "$go")
go_is_there=$(command -v go || true)

# Write the blocks of a document to FOLDER/N.sh, and "N LINE STATUS" of each to FOLDER/list;
# STATUS is a number or "not-run".
# shellcheck disable=SC2016 # the dollars are awk's
of_markdown='
/^```/ && inside { inside = 0; close(file); next }
/^```sh/ {
	status = $2 == "" ? 0 : $2
	sub(/^status=/, "", status)
	file = folder "/" ++n ".sh"
	print n, FNR, status > (folder "/list")
	inside = 1
	next
}
/^```/ { inside = 1; file = "/dev/null"; next }
inside { print > file }'
# shellcheck disable=SC2016
of_mdoc='
function begin() {
	file = folder "/" ++n ".sh"
	print n, FNR, status == "" ? 0 : status > (folder "/list")
	status = ""
}
function put(line) {
	gsub(/\\e/, "\\", line)
	gsub(/\\&/, "", line)
	gsub(/\\-/, "-", line)
	print line > file
}
/^\.Sh/ { examples = $2 == "EXAMPLES" }
!examples { next }
/^\.\\" status=/ { status = substr($2, 8) }
/^\.\\" not-run:/ { status = "not-run" }
/^\.Dl / { begin(); put(substr($0, 5)); close(file) }
/^\.Bd / { begin(); inside = 1; next }
/^\.Ed/ { inside = 0; close(file) }
inside { put($0) }'

blocks_run=0
left_out=0
run_block() { # DOCUMENT LINE STATUS FILE
	local status=0
	if [ -z "$go_is_there" ] && grep -Eq '(^|[^a-z])(go |gohost)' "$4"; then
		left_out=$((left_out + 1))
		return
	fi
	sed -i "s|$installed|$agent|g" "$4"
	(cd "$work/play" && timeout 120 sh -eu "$4") >"$work/out" 2>&1 || status=$?
	blocks_run=$((blocks_run + 1))
	[ "$status" -eq "$3" ] || {
		fail "$1:$2: ends with status $status, not $3"
		cat "$4" "$work/out"
	}
}

run_document() { # PATH PROGRAM-FOR-AWK
	local name=${1#"$source_folder/"} folder=$work/blocks
	rm -rf "$folder" "$work/play"
	mkdir -p "$folder" "$work/play"
	cp -r "$samples/." "$work/play"
	awk -v folder="$folder" "$2" "$1"
	[ -f "$folder/list" ] || return 0
	while read -r n line status <&3; do
		[ -s "$folder/$n.sh" ] || fail "$name:$line: an empty block"
		[ "$status" = not-run ] || run_block "$name" "$line" "$status" "$folder/$n.sh"
	done 3<"$folder/list"
}

run_document "$source_folder/README.md" "$of_markdown"
[ "$blocks_run" -ge 4 ] || [ "$left_out" -gt 0 ] || fail "README.md shows too few commands"
for page in "$source_folder"/man/*.[157]; do
	run_document "$page" "$of_mdoc"
done
echo "$blocks_run blocks run, $left_out left out"
[ "$blocks_run" -ge 15 ] || [ "$left_out" -gt 0 ] || fail "the documents show too few commands"
if [ "$failures" -eq 0 ] && [ "$left_out" -gt 0 ]; then
	skip "go is not installed: $left_out blocks were not run"
fi
finish
