#!/bin/bash
# A profile of another tool, with every field that there is: symbolize names the library that had no names, and
# leaves all else as it was.  Stock go tool pprof reads both.
. "${srcdir:-.}/tests/e2e/lib.sh"
need_samples
need_go
for command in python3 nm readelf gzip; do
	command -v $command >/dev/null || skip "no $command"
done
codec=$samples/plugin_codec.so
dct=$(nm "$codec" | sed -n 's/^\([0-9a-f]*\) . codec_dct$/\1/p')
read -r offset vaddr < <(readelf -lW "$codec" | awk '/LOAD/ && / R E / { print $2, $3 }')

python3 "$source_folder/tests/e2e/foreign_profile.py" "$codec" "$dct" "$offset" "$vaddr" >"$work/foreign.pb" ||
	fail "no profile"

# raw FILE: the profile but for what names change, and what we say of the libraries.
raw() {
	"$go" tool pprof -raw "$1" 2>"$work/err" >"$work/raw" || fail "pprof: $(cat "$work/err")"
	sed '/^Locations/,$d; /^Comment: #plugprof module/d' "$work/raw"
	grep ' named::before \| its caller ' "$work/raw"
	sed -n '/^Mappings/,$p' "$work/raw" | sed '/plugin_codec/d'
}
raw "$work/foreign.pb" >"$work/before"
# From a file, and through a pipe; -o and standard output.
"$tool" symbolize -q -o "$work/named.pb.gz" "$work/foreign.pb" || fail "symbolize: status $?"
"$tool" symbolize -q - <"$work/foreign.pb" >"$work/piped.pb.gz" || fail "symbolize -: status $?"
cmp "$work/named.pb.gz" "$work/piped.pb.gz" || fail "another result through a pipe"
raw "$work/named.pb.gz" >"$work/after"
diff "$work/before" "$work/after" || fail "something else has changed"
for word in 'jobs/count\[dflt\]' 'tenant:\[blue\]' 'bytes:\[4096' 'a comment' '-70' 'Period: 31'; do
	grep -Eq -e "$word" "$work/after" || fail "no $word in $(cat "$work/after")"
done
grep -Eq ' codec_dct .*/plugin_codec.c:[1-9]' "$work/raw" || fail "no codec_dct: $(cat "$work/raw")"
gzip -dc "$work/named.pb.gz" >"$work/plain"
for word in '^drop_me$' '^keep_me$' https://example.org/doc _ZN5named6beforeEv; do
	grep -aqF "$word" "$work/plain" || fail "$word is lost"
done
# Once named, always so: a second time changes nothing.
"$tool" symbolize -q -o "$work/twice.pb.gz" "$work/named.pb.gz" || fail "symbolize twice: status $?"
cmp "$work/named.pb.gz" "$work/twice.pb.gz" || fail "it changes what is named"
finish
