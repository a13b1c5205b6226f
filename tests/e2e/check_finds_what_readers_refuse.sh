#!/bin/bash
# plugprof check: an error for what go tool pprof refuses and none for what it takes; warnings for
# what Parca and Pyroscope refuse; nothing at all about profiles of our own.
. "${srcdir:-.}/tests/e2e/lib.sh"
need_samples
need_go
corpus=$source_folder/tests/fuzz/corpus/profile

# --- the files that each break one rule, judged by pprof itself ---
for file in "$corpus"/bad-* "$corpus"/good-*; do
	"$tool" check "$file" >"$work/out" 2>"$work/err"
	status=$?
	pprof_status=0
	"$go" tool pprof -symbolize=none -raw "$file" >/dev/null 2>"$work/pprof.err" || pprof_status=1
	[ $status -eq $pprof_status ] ||
		fail "$(basename "$file"): check $status, pprof $pprof_status: $(cat "$work/out" "$work/pprof.err")"
	[ -s "$work/err" ] && fail "$(basename "$file"): says $(cat "$work/err")"
done
finds() { # FILE TEXT
	"$tool" check "$corpus/$1" | grep -qF "$2" || fail "$1: no \"$2\": $("$tool" check "$corpus/$1")"
}
finds bad-value-count 'error: sample 1: it has fewer values than there are sample types'
finds bad-missing-function 'error: location 2: a line of it names a function that is not there'
finds good-missing-mapping 'warning: location 2: it names a mapping that is not there'
finds good-empty-stack 'warning: sample 2: it has no locations'

# --- ours, as recorded and as symbolized ---
record_well ours -F 500 -- "$samples/host" -t 0.2 "$samples/plugin_codec.so"
"$tool" check "$work/ours.pb.gz" >"$work/out" || fail "ours: status $?"
grep -qx "$work/ours.pb.gz: 0 errors, 0 warnings" "$work/out" || fail "ours: $(cat "$work/out")"

# --- as JSON, from stdin, several, none ---
"$tool" check --json - <"$corpus/bad-value-count" |
	grep -q '^{"file":"-","kind":"error","record":"sample 1","text":"it has fewer' || fail "--json"
"$tool" check -q "$work/ours.pb.gz" "$corpus/bad-html" >"$work/out" && fail "one of two is bad: status 0"
[ "$(wc -l <"$work/out")" -eq 1 ] || fail "-q: $(cat "$work/out")"
"$tool" check "$work/missing" 2>"$work/err" && fail "missing: status 0"
grep -q '^plugprof: cannot read .*missing' "$work/err" || fail "missing: $(cat "$work/err")"
finish
