#!/bin/bash
# The agent is a guest: what it needs, what it exports, what it calls, and what a program can see of
# it (descriptors, threads, children, environment, signals: nothing).
. "${srcdir:-.}/tests/e2e/lib.sh"
need_helper guest
for command in nm readelf; do
	command -v $command >/dev/null || skip "no $command"
done

# --- the file ---

readelf -dW "$agent" >"$work/dynamic"
needed=$(sed -n 's/.*(NEEDED).*\[\(.*\)\].*/\1/p' "$work/dynamic")
[ "$needed" = libc.so.6 ] || fail "needs $needed"
grep -q 'BIND_NOW' "$work/dynamic" || fail "not bound at start"
grep -q 'Flags:.*NOW' "$work/dynamic" || fail "not bound at start"
grep -q 'Flags:.*NODELETE' "$work/dynamic" || fail "can be unloaded"
grep -Eq '(TEXTREL|RPATH|RUNPATH|SYMBOLIC)' "$work/dynamic" && fail "TEXTREL, RPATH or SYMBOLIC"

nm -D --defined-only --format=posix "$agent" | sed 's/ .*//' | sort >"$work/exported"
sed -n '/^global:/,/^local:/ s/^\t\([A-Za-z_0-9]*\);$/\1/p' "$source_folder/src/agent/exports.map" |
	sort >"$work/wanted"
[ -s "$work/wanted" ] || fail "no exports in exports.map"
diff "$work/wanted" "$work/exported" || fail "exports other than those of exports.map"
grep @ "$work/exported" && fail "exports with a version: such a hook is never called"

nm -D --undefined-only --format=posix "$agent" | sed 's/[ @].*//' | sort -u >"$work/called"
sed 's/#.*//' "$source_folder/tests/e2e/agent_calls.allow" | tr -s ' ' '\n' | grep . | sort -u >"$work/allowed"
comm -23 "$work/called" "$work/allowed" >"$work/extra"
[ -s "$work/extra" ] && fail "calls that agent_calls.allow does not have: $(tr '\n' ' ' <"$work/extra")"
grep -x __tls_get_addr "$work/called" && fail "TLS through __tls_get_addr, which may allocate"

readelf -lW "$agent" | awk '$1 == "TLS" { print $6 }' >"$work/tls"
[ $(("$(cat "$work/tls")")) -le 64 ] || fail "TLS of $(cat "$work/tls") bytes"
readelf -lW "$agent" | grep -q 'GNU_STACK.* RW ' || fail "wants an executable stack"
readelf -lW "$agent" | awk '$1 == "LOAD" && /RWE/' | grep . && fail "memory that is both written and run"

# It withdraws symbols of its own by writing to them, where no code may be.
readelf -lW "$agent" | grep -E ' \.dynsym .* \.(text|plt)( |$)' && fail "symbols in a segment of code"

# --- what the program sees ---

compare() {
	name=$1
	shift
	cmp -s "$work/plain" "$work/$name" || {
		fail "$name: the program sees us"
		diff "$work/plain" "$work/$name"
	}
}

# The last to look, after the agent has written the profile: a library behind it.
also=
if $cc -DLAST -shared -fPIC -o "$work/last.so" "$source_folder/tests/e2e/guest.c" 2>"$work/err"; then
	also=:$work/last.so
else
	echo "no compiler: nobody looks after the agent's end"
fi
settings="spool=$spool,freq=1000,file=$work/guest.pb.gz"
guest() {
	env -i HOME=/nowhere "A=b c" EMPTY= "$@" </dev/null
}
guest LD_PRELOAD="${also#:}" "$helpers/guest" >"$work/plain" 2>&1
guest PLUGPROF="$settings" LD_PRELOAD="$agent$also" "$helpers/guest" >"$work/agent" 2>&1
compare agent
[ -s "$work/guest.pb.gz" ] || fail "no profile"
[ -z "$also" ] || grep -q '^last: ' "$work/agent" || fail "the last look is missing"

rm -f "$work/guest.pb.gz"
guest "$tool" record -q --spool="$spool" -F 1000 -o "$work/guest.pb.gz" -- "$helpers/guest" \
	>"$work/record" 2>&1
grep -v '^last: ' "$work/plain" >"$work/plain_until_end"
cmp "$work/plain_until_end" "$work/record" || fail "record: the program sees us"
[ -s "$work/guest.pb.gz" ] || fail "record: no profile"

# Settings were read at the start: a program may empty its environment.
rm -f "$work/guest.pb.gz"
guest PLUGPROF="$settings" LD_PRELOAD="$agent" "$helpers/guest" clear >"$work/clear" 2>&1
[ -s "$work/guest.pb.gz" ] || fail "no profile where the program clears its environment"
[ -z "$(ls -A "$spool")" ] || fail "left in the spool folder: $(ls -A "$spool")"

# Off, or with a mistake in the settings, the program runs as ever.
guest PLUGPROF=off LD_PRELOAD="$agent$also" "$helpers/guest" >"$work/off" 2>&1
compare off
guest PLUGPROF=nonsense LD_PRELOAD="$agent$also" "$helpers/guest" >"$work/nonsense" 2>"$work/err"
compare nonsense
[ "$(wc -l <"$work/err")" -eq 1 ] || fail "a mistake in PLUGPROF is told in one line: $(cat "$work/err")"
grep -q nonsense "$work/err" || fail "a mistake in PLUGPROF is named: $(cat "$work/err")"
finish
