#!/bin/bash
# Where profiles go and what is said about them: names with %p %t %h %e %n, the default name, -d, --raw
# and symbolize, -q; under record, and with PLUGPROF=... alone.
. "${srcdir:-.}/tests/e2e/lib.sh"
need_samples
need_go
codec=$samples/plugin_codec.so
mkdir "$work/here"
cd "$work/here" || exit 99

host_record() {
	"$tool" record --spool="$spool" -F 1000 "$@" -- "$samples/host" -t 0.1 "$codec" >"$work/out" 2>"$work/err" ||
		fail "record $*: status $?: $(cat "$work/err")"
	[ "$(wc -l <"$work/err")" -le 6 ] || fail "record $*: more than six lines on stderr"
	grep -v '^plugprof: ' "$work/err" && fail "record $*: a line that is not ours"
	cmp "$work/plain" "$work/out" || fail "record $*: prints on stdout"
}
"$samples/host" -t 0.1 "$codec" >"$work/plain"

# the_file REGEX: that is the one file here, but for a heap profile, which there is when a sample fell
# into the little that host allocates; it is a profile, only its owner's; then it is removed.
the_file() {
	rm -f ./*.heap.pb.gz ./*.heap.*.pb.gz
	mapfile -t found < <(find . -type f)
	if [ ${#found[@]} -ne 1 ] || [[ ! ${found[0]} =~ ^\./$1$ ]]; then
		fail "not one file $1: ${found[*]}"
	fi
	[ "$(stat -c %a "${found[0]}")" = 600 ] || fail "${found[0]} has mode $(stat -c %a "${found[0]}")"
	"$go" tool pprof -top "${found[0]}" 2>&1 | grep -q codec_huffman || fail "${found[0]} has no names"
	rm -f "${found[0]}"
	[ -z "$(ls -A "$spool")" ] || fail "left in the spool folder: $(ls -A "$spool")"
}

# --- names ---

host_record
the_file 'host\.[0-9]+\.cpu\.pb\.gz'
host_record -o plain.pb.gz
the_file 'plain\.pb\.gz'
grep -q "^plugprof: wrote .*plain.pb.gz$" "$work/err" || fail "does not name the file"
grep -q "^plugprof: next: go tool pprof .*plain.pb.gz$" "$work/err" || fail "does not say what next"
grep -Eq '^plugprof: [0-9]+ samples, 0 lost; 0\.[0-9]+ s CPU' "$work/err" || fail "does not count the samples"
host_record -o "$work/here/absolute.pb.gz"
the_file 'absolute\.pb\.gz'
host_record -o '%e-%p-%h-%t-%n-%%.pb.gz'
the_file "host-[0-9]+-$(hostname)-[0-9]{8}-[0-9]{6}-0-%\\.pb\\.gz"
host_record -q --output=quiet.pb.gz
[ -s "$work/err" ] && fail "-q says: $(cat "$work/err")"
the_file 'quiet\.pb\.gz'
PLUGPROF=file=from_environment.pb.gz host_record -q
the_file 'from_environment\.pb\.gz'
# An older file of that name is replaced as a whole.
echo old >again.pb.gz
chmod 600 again.pb.gz
host_record -o again.pb.gz
the_file 'again\.pb\.gz'

# The agent alone: says nothing, writes the same.
preload freq=1000 "$samples/host" -t 0.1 "$codec" >"$work/out" 2>&1
cmp "$work/plain" "$work/out" || fail "the agent alone says something"
the_file 'host\.[0-9]+\.cpu\.pb\.gz'
preload 'freq=1000,file=a\,b %e.pb.gz' "$samples/host" -t 0.1 "$codec" >"$work/out" 2>&1
the_file 'a,b host\.pb\.gz'
preload 'freq=1000,file=verbose.pb.gz,verbose' "$samples/host" -t 0.1 "$codec" >"$work/out" 2>"$work/err"
cmp "$work/plain" "$work/out" || fail "verbose: on stdout"
grep -q '^plugprof: wrote .*verbose.pb.gz$' "$work/err" || fail "verbose: does not name the file"
the_file 'verbose\.pb\.gz'
# Relative to where the program was when it started, and never over another file.
echo mine >here.pb.gz
(preload freq=1000,file=here.pb.gz "$samples/host" -t 0.1 "$codec") >"$work/out" 2>&1
[ "$(cat here.pb.gz)" = mine ] || fail "the agent alone writes over another file"
rm here.pb.gz
the_file 'here\.[0-9]+\.pb\.gz'
preload off,freq=1000 "$samples/host" -t 0.1 "$codec" >"$work/out" 2>&1
[ -z "$(find . -type f)" ] || fail "off: wrote $(find . -type f)"

# --- a part of the time ---

# 1 s of CPU time at least, of which the first half second of wall time is sampled: a profile can have
# no more than that (and 5 % for the timers of two processors), and has some.
record part -F 1000 -d 500ms -- "$samples/host" -n 1 -t 1 "$codec"
cmp "$work/plain" "$work/part.out" || fail "-d: on stdout"
periods=$(total part)
if [ "$periods" -lt 1 ] || [ "$periods" -gt 530 ]; then
	fail "-d 500ms: $periods periods of at most 500"
fi
[ "$(wc -l <"$work/part.err")" -le 6 ] || fail "-d: more than six lines on stderr"
[ -z "$(ls -A "$spool")" ] || fail "-d: left in the spool folder: $(ls -A "$spool")"
preload "freq=1000,duration=300ms,file=$work/part2.pb.gz" "$samples/host" -n 1 -t 0.6 "$codec" >"$work/out" 2>&1
periods=$(total part2)
if [ "$periods" -lt 1 ] || [ "$periods" -gt 320 ]; then
	fail "duration=300ms: $periods periods of at most 300"
fi

# --- addresses now, names later ---

mapfile -t three < <(plugins codec shapes nofp)
record_well raw -F 1000 --raw -- "$samples/host" -t 0.5 "${three[@]}"
grep -q 'plugprof symbolize .*raw.pb.gz' "$work/raw.err" || fail "--raw does not say what next"
"$go" tool pprof -symbolize=none -raw "$work/raw.pb.gz" >"$work/out" 2>&1
has_not '^ *[0-9]+: 0x[0-9a-f]+ M=[0-9]+ +[^ ]'
has ' /.*/plugin_codec\.so [0-9a-f]{40} *$'
"$tool" symbolize -q -o "$work/named.pb.gz" "$work/raw.pb.gz" >"$work/out" 2>&1 || fail "symbolize: status $?"
[ -s "$work/out" ] && fail "symbolize -q says $(cat "$work/out")"
stacks named
every_stack_is_whole named "$any_root"
has 'nofp_12'
# To stdout, from stdin, is the same.
"$tool" symbolize - <"$work/raw.pb.gz" >"$work/piped.pb.gz" 2>"$work/err" || fail "symbolize -: status $?"
pprof piped -top
cp "$work/out" "$work/expected"
pprof named -top
cmp "$work/expected" "$work/out" || fail "symbolize -o and > differ"
# Named again is the same; so is what a spool becomes at once or in two steps.
"$tool" symbolize -q -o "$work/twice.pb.gz" "$work/named.pb.gz" || fail "symbolize of a named one: status $?"
pprof twice -top
cmp "$work/expected" "$work/out" || fail "symbolizing twice differs"
(preload "freq=1000,file=$work/x.pb.gz" "$samples/host" -t 0.3 --exit=kill "${three[@]}"; true) >/dev/null 2>&1
cp "$spool"/*.spool "$work/kept.spool"
"$tool" symbolize -q -o "$work/at_once.pb.gz" "$work/kept.spool" || fail "symbolize SPOOL: status $?"
"$tool" recover -q --raw -o "$work/steps_raw.pb.gz" "$work/kept.spool" || fail "recover --raw: status $?"
"$tool" symbolize -q -o "$work/steps.pb.gz" "$work/steps_raw.pb.gz" || fail "symbolize: status $?"
"$tool" recover -q --spool="$spool" -o "$work/recovered.pb.gz" || fail "recover: status $?"
for how in top traces; do
	pprof at_once -$how
	cp "$work/out" "$work/expected"
	for other in steps recovered; do
		pprof $other -$how
		cmp "$work/expected" "$work/out" || fail "$other differs from one step in -$how"
	done
done
finish
