#!/bin/sh
# Stock go tool pprof reads what we write: names, inlined frames, lines, labels, two libraries
# at one address, and without a warning.  It refuses what we refuse, and we read what it writes.
#
#   WRITE_PROFILES   the test program of write_profiles.c (default ./tests/e2e/write_profiles)
#   GO               the go command (default: go, else /usr/local/go/bin/go)
#   srcdir           where the sources are (default .)
set -u

write_profiles=${WRITE_PROFILES:-./tests/e2e/write_profiles}
corpus=${srcdir:-.}/tests/fuzz/corpus/profile
go=${GO:-$(command -v go || echo /usr/local/go/bin/go)}
export TZ=UTC

if ! "$go" version >/dev/null 2>&1; then
	echo "skipped: go is not installed"
	exit 77
fi
if ! "$go" tool pprof -h 2>&1 | grep -q tagroot; then
	echo "skipped: this go has no pprof, or one without -tagroot"
	exit 77
fi

work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
export PPROF_TMPDIR="$work"
failures=0

fail() {
	echo "FAIL: $*"
	failures=$((failures + 1))
}

# pprof PROFILE OPTION...: its output in $work/out; nothing may be said on stderr.
pprof() {
	file=$1
	shift
	"$go" tool pprof "$@" "$work/$file" >"$work/out" 2>"$work/err" ||
		fail "pprof $* $file: exit status $?"
	[ -s "$work/err" ] && fail "pprof $* $file says: $(cat "$work/err")"
}

# has REGEX: a line of the last output matches.
has() {
	grep -Eq -- "$1" "$work/out" || {
		fail "no line matches: $1"
		cat "$work/out"
	}
}

has_not() {
	grep -Eq -- "$1" "$work/out" && fail "a line matches: $1"
}

"$write_profiles" "$work" || fail "write_profiles"

pprof named.pb.gz -top
has '^File: host$'
has '^Build ID: aa11$'
# (Go 1.19 says: Nov 14, 2023 at 10:13pm)
has '^Time: .*(2023-11-14 22:13:20 UTC|Nov 14, 2023 at 10:13pm \(UTC\))$'
has '^Duration: 2s, Total samples = 1000ms \(50.00%\)'
has '^written by the test$'
has '^ +700ms 70.00% .* clamp \(inline\)$'
has '^ +0 .* 700ms 70.00%  decode$'
has '^ +0 .* 1000ms +100%  main$'
has '^ +300ms .* mix_caf�$'

pprof named.pb.gz -top -lines
has 'clamp clamp.h:12 \(inline\)$'
has 'decode codec.c:34$'

pprof named.pb.gz -traces
has 'plugin: +codec.so$'
has '^ +700ms +clamp \(inline\)$'

pprof named.pb.gz -tags
has '700(\.0)?ms \(70.00%\): codec.so'
has '300(\.0)?ms \(30.00%\): audio.so'

pprof named.pb.gz -top -tagroot=plugin
has ' 700ms 70.00%  codec.so$'
has ' 300ms 30.00%  audio.so$'

pprof named.pb.gz -top -tagfocus=plugin=audio.so
has 'mix_caf'
has_not 'clamp'

pprof same_address.pb.gz -top
has '^ +600ms 60.00% .* decode$'
has '^ +400ms 40.00% .* audio.so!0x1456$'

pprof same_address.pb.gz -raw
has '^2: 0x7f0000000000/0x7f0000004000/0x1000 /gone/lib/codec.so bb22 \[FN\]\[FL\]\[LN\]\[IN\]$'
has '^3: 0x7f0000000000/0x7f0000004000/0x1000 /gone/lib/audio.so cc33 '
has '0x7f0000000456 M=2 decode codec.c:34'
has '0x7f0000000456 M=3 audio.so!0x1456'

pprof folded.pb.gz -top
has 'Total samples = 200s '
has '^ +40.02s .* \(truncated\)$'
has '^ +159.98s .* work$'

# Through pprof and back: it writes, we load and write, it sees the same.
for name in named same_address; do
	"$go" tool pprof -proto -output="$work/theirs.pb.gz" "$work/$name.pb.gz" 2>/dev/null ||
		fail "pprof -proto $name.pb.gz"
	"$write_profiles" "$work/theirs.pb.gz" "$work/ours.pb.gz" ||
		fail "we do not load what pprof writes of $name"
	pprof "$name.pb.gz" -traces
	cp "$work/out" "$work/expected"
	pprof ours.pb.gz -traces
	cmp -s "$work/expected" "$work/out" || fail "$name differs after pprof -proto"
done

# One judgement about good and bad files.
for file in "$corpus"/good-* "$corpus"/bad-*; do
	"$go" tool pprof -symbolize=none -raw "$file" >/dev/null 2>&1
	theirs=$?
	"$write_profiles" "$file" "$work/ours.pb.gz" 2>/dev/null
	ours=$?
	case $file in
	*/good-*) [ $ours -eq 0 ] || fail "we refuse $file" ;;
	*/bad-*) [ $ours -ne 0 ] || fail "we load $file" ;;
	esac
	[ $((theirs != 0)) -eq $((ours != 0)) ] ||
		fail "$file: pprof's status is $theirs, ours $ours"
done

[ $failures -eq 0 ]
