#!/bin/bash
# --follow, --include, --exclude and PLUGPROF=off: who is recorded, and what children see.  One summary
# and, if wanted, one profile for a tree of processes; nothing is left of those that were not sampled.
. "${srcdir:-.}/tests/e2e/lib.sh"
need_helper processes
need_go
program=$helpers/processes
mkdir "$work/in"

# burners FILE...: the functions that burnt, in all of the profiles.
burners() {
	"$tool" merge -q -o - "$@" 2>/dev/null | cat >"$work/sum.pb.gz"
	"$go" tool pprof -top -nodecount=0 "$work/sum.pb.gz" 2>/dev/null |
		awk '$NF ~ /^burn_/ { print $NF }' | sort -u | tr '\n' ' '
}

# --- how a process came to be ---
# follow MODE WAY EXPECTED: with the agent alone.
follow() {
	rm -rf "$work/in"/*
	(cd "$work/in" && preload "freq=1000,heap=off,follow=$1" "$program" "$2") >"$work/out" 2>"$work/err" ||
		fail "$1, $2: status $?: $(cat "$work/err")"
	[ -s "$work/err" ] && fail "$1, $2: says $(cat "$work/err")"
	got=$(burners "$work/in"/*.pb.gz)
	[ "$got" = "$3" ] || fail "follow=$1, $2: recorded $got, not $3"
}
# The same under record.
follow_under_record() {
	rm -rf "$work/in"/*
	(cd "$work/in" && "$tool" record -q --spool="$spool" -F 1000 --cpu --follow="$1" -o x.pb.gz -- \
		"$program" "$2") >"$work/out" 2>&1 || fail "record --follow=$1, $2: status $?"
	got=$(burners "$work/in"/*.pb.gz)
	[ "$got" = "$3" ] || fail "record --follow=$1, $2: recorded $got, not $3"
	[ -z "$(ls "$spool")" ] || fail "follow=$1, $2: left $(ls "$spool")"
}
follow both system 'burn_exec burn_parent '
follow fork fork 'burn_child burn_grandchild burn_parent '
follow fork system 'burn_parent '
follow exec fork 'burn_parent '
follow exec system 'burn_exec burn_parent '
follow none spawn 'burn_parent '
follow_under_record exec system 'burn_exec burn_parent '
follow_under_record none fork 'burn_parent '

# --- what a program that is not followed sees ---
"$cc" -shared -fPIC -x c -o "$work/other.so" - <<<'int other;' || fail "cannot build a library"
seen() { # PRELOAD SETTINGS: what a child sees, but for our settings and the shell's own
	env -i PATH="$PATH" A=1 ${1:+LD_PRELOAD="$1"} PLUGPROF="spool=$spool,heap=off,$2" B=2 \
		sh -c '(env; true)' | grep -v -e ^PLUGPROF= -e ^_=
}
seen '' off >"$work/plain"
seen "$work/other.so" off >"$work/plain.other"
for mode in fork none; do
	seen "$agent" follow=$mode >"$work/out"
	cmp -s <(grep -vx LD_PRELOAD= "$work/out") "$work/plain" || fail "$mode: a child sees $(cat "$work/out")"
	for both in "$work/other.so:$agent" "$agent:$work/other.so" "$agent $work/other.so"; do
		seen "$both" follow=$mode >"$work/out"
		cmp -s "$work/out" "$work/plain.other" || {
			fail "$mode: of $both a child sees:"
			diff "$work/out" "$work/plain.other"
		}
	done
done
seen "$agent" follow=exec | grep -qx "LD_PRELOAD=$agent" || fail "follow=exec: a child has no agent"
rm -f "$spool"/*

# --- by name ---
cat >"$work/tree.sh" <<END
"$program" burn one
"$program" fork
END
named() { # EXPECTED OPTION...: what is recorded of the shell and its children
	expected=$1
	shift
	rm -rf "$work/in"/*
	(cd "$work/in" && "$tool" record --spool="$spool" -F 1000 --cpu -o x.pb.gz "$@" -- sh "$work/tree.sh") \
		>"$work/out" 2>"$work/err"
	status=$?
	got=$(burners "$work/in"/*.pb.gz)
	[ "$got" = "$expected" ] || fail "$*: recorded $got, not $expected"
}
all='burn_child burn_exec burn_grandchild burn_parent '
named "$all" --include='process?s'
grep -q 'in 4 processes, a file each' "$work/err" || fail "does not tell of 4 processes: $(cat "$work/err")"
grep -Eq 'wrote x.pb.gz, x.[0-9]*.pb.gz, x.[0-9]*.pb.gz, x.[0-9]*.pb.gz; all in one: ' "$work/err" ||
	fail "does not name 4 files: $(cat "$work/err")"
named "$all" --include='nobody:proc*:no one' --exclude='sh:bash'
named '' --exclude='[op]*'
named '' --include=nobody
[ $status -eq 1 ] || fail "nobody to record: status $status"
grep -q 'no program that ran is one to record' "$work/err" || fail "nobody to record: $(cat "$work/err")"
# The first that is recorded is where following starts.
named 'burn_exec burn_parent ' --include='proc*' --follow=none

# --- off ---
rm -rf "$work/in"/*
# shellcheck disable=SC2016 # the program's
(cd "$work/in" && PLUGPROF=off "$tool" record -q -o x.pb.gz -- sh -c 'echo "$LD_PRELOAD"; exit 3') \
	>"$work/out" 2>"$work/err"
status=$?
[ $status -eq 3 ] || fail "off: status $status"
[ -s "$work/err" ] && fail "off: says $(cat "$work/err")"
[ "$(cat "$work/out")" = "" ] || fail "off: the program sees $(cat "$work/out")"
(cd "$work/in" && preload off "$program" burn off) >/dev/null 2>&1
[ -z "$(find "$work/in" "$spool" -type f)" ] || fail "off: left $(ls "$work/in" "$spool")"

# --- one profile of all ---
(cd "$work/in" && "$tool" record --spool="$spool" -F 1000 --merge -o x.pb.gz -- sh "$work/tree.sh") \
	>"$work/out" 2>"$work/err" || fail "--merge: status $?"
[ "$(find "$work/in" -type f ! -name '*.heap.pb.gz')" = "$work/in/x.pb.gz" ] || fail "--merge: wrote $(ls "$work/in")"
[ "$(burners "$work/in/x.pb.gz")" = "$all" ] || fail "--merge: has $(burners "$work/in/x.pb.gz")"
grep -Eq 'in [45] processes, added up' "$work/err" || fail "--merge: says $(cat "$work/err")"
"$tool" check -q "$work/in/x.pb.gz" || fail "--merge: not a good profile"
cp "$work/in/x.pb.gz" "$work/merged.pb.gz"
# 0.2 + 0.15 + 0.15 s of the tree and 0.15 s of burn.
got=$(total merged)
[ "$got" -ge 620 ] || fail "--merge: $got periods of about 660"
[ "$got" -le 760 ] || fail "--merge: $got periods of about 660"

# --- a script of 200 commands ---
cat >"$work/many.sh" <<'END'
i=0
while [ $i -lt 70 ]; do
	i=$((i + 1))
	/bin/true
	/bin/echo $i
	(exit 3)
done
true
END
rm -rf "$work/in"/*
(cd "$work/in" && preload "freq=20,heap=off" sh "$work/many.sh") >"$work/out" 2>"$work/err" || fail "script: status $?"
[ "$(wc -l <"$work/out")" -eq 70 ] || fail "script: prints $(wc -l <"$work/out") lines"
[ -s "$work/err" ] && fail "script: says $(cat "$work/err")"
for file in "$work/in"/*; do
	[ -e "$file" ] || continue
	cp "$file" "$work/one.pb.gz"
	[ "$(total one)" -gt 0 ] || fail "script: $file has no samples"
done
[ -z "$(ls "$spool")" ] || fail "script: left in the spool folder: $(ls "$spool")"
[ -z "$(find "$work/in" -type f ! -name '*.pb.gz')" ] || fail "script: left $(ls -A "$work/in")"
finish
