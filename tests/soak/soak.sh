#!/bin/bash
# Exceptions, plugins that come and go, fork, short threads, signals, allocations and labels, all at once,
# at 1000 Hz and one sample in 64 KiB, SOAK_SECONDS long: no hang, no crash, no profile or spool that is
# not sound, and the host's memory stays flat.  What hangs has its stacks shown.
. "${srcdir:-.}/tests/e2e/lib.sh"
need_samples

seconds=${SOAK_SECONDS:-1800}
"${CXX:-c++}" -O2 -g -pthread -o "$work/soak" "$source_folder/tests/soak/soak.cc" -ldl || exit 99
mkdir "$work/profiles"

LD_PRELOAD=$agent PLUGPROF="spool=$spool,file=$work/profiles/%p.%n.cpu.pb.gz,freq=1000,heap=64k" \
	"$work/soak" "$seconds" "$samples"/plugin_{codec,nofp,chain,thrower}.so "$samples"/reload_{alpha,beta}.so \
	>"$work/soak.out" 2>"$work/soak.err" &
host=$!

checked=0
check_profiles() { # OPTION...: of find
	while read -r profile; do
		"$tool" check "$profile" >"$work/out" 2>&1 || fail "$profile: $(head -n 3 "$work/out")"
		checked=$((checked + 1))
		rm -f "$profile"
	done < <(find "$work/profiles" -name '*.pb.gz' "$@")
}

show_stacks() {
	if command -v gdb >/dev/null; then
		timeout 60 gdb -batch -p $host -ex 'thread apply all bt' 2>/dev/null
	else
		for task in "/proc/$host/task"/*; do
			echo "${task##*/}: $(cat "$task/wchan" "$task/syscall" 2>/dev/null | tr '\n' ' ')"
		done
	fi
}

while kill -0 $host 2>/dev/null; do
	sleep 1
	if grep -q '^hang' "$work/soak.out" ||
		[ -n "$(find "$work/soak.out" -mmin +1)" ]; then # the one that writes it hangs, too
		fail "$(grep '^hang' "$work/soak.out" || echo "hang: no line for a minute")"
		show_stacks
		ps -o pid= --ppid $host | xargs -r kill -KILL # a child that hangs would stay
		kill -KILL $host
		break
	fi
	check_profiles ! -newermt '-5 seconds'
done
wait $host
status=$?

[ $status -eq 0 ] || fail "status $status: $(grep -a failed "$work/soak.out" | head -n 5)"
[ -s "$work/soak.err" ] && fail "words on stderr: $(head -n 5 "$work/soak.err")"
tail -n 2 "$work/soak.out"
# Of the children that were killed.
"$tool" recover --spool="$spool" >"$work/out" 2>&1 || fail "recover: $(tail -n 3 "$work/out")"
find "$spool" -name '*.spool' | grep -q . && fail "spools are left: $(find "$spool" -name '*.spool' | head -n 3)"
[ -s "$work/profiles/$host.0.cpu.pb.gz" ] || fail "the host has no profile"
"$tool" inspect "$work/profiles/$host.0.cpu.pb.gz" 2>&1 | grep -i lost
check_profiles
echo "$checked profiles checked"
[ $checked -ge 3 ] || fail "only $checked profiles"

# From a quarter on; malloc's arenas settle before.
awk -v from=$((seconds / 4)) '/anonymous/ && $1 >= from {
		sub(/.*anonymous /, ""); sub(/ .*/, "")
		if (!first) first = $0 + 0
		last = $0 + 0
	} END {
		printf "memory: %d KiB after a quarter, %d KiB at the end\n", first, last
		exit last > first * 1.25 + 8192
	}' "$work/soak.out" || fail "the memory grows"
finish
