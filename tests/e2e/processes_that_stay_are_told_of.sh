#!/bin/bash
# A program that ends and leaves a daemon: record names what still runs, and does not touch its spool; with a
# duration it writes their profiles when that is over.
. "${srcdir:-.}/tests/e2e/lib.sh"
need_go
cd "$work" || exit 99
cat >stays.c <<'END'
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
__attribute__((noinline)) static void burn_behind(void)
{
	volatile long i;

	for (i = 0; i < 150000000; i++) {
	}
}
int main(void)
{
	int ready[2];
	char byte;
	FILE *file;

	if (pipe(ready) < 0)
		return 1;
	if (fork() == 0) {
		setsid();
		file = fopen("pid", "w");
		fprintf(file, "%d\n", getpid());
		fclose(file);
		burn_behind();
		for (int descriptor = 0; descriptor < 10; descriptor++)
			close(descriptor); /* the other end of READY last seen */
		for (;;)
			pause();
	}
	close(ready[1]);
	return read(ready[0], &byte, 1) == 0 ? 3 : 1;
}
END
"$cc" -g stays.c -o stays || exit 99
stop() {
	kill -9 "$(cat pid)"
	while [ -e "/proc/$(cat pid)" ] && ! grep -q '^State:	Z' "/proc/$(cat pid)/status" 2>/dev/null; do
		sleep 0.02
	done
}

"$tool" record --spool="$spool" -F 1000 --heap-interval=off -o 'first.%n.pb.gz' -- ./stays 2>err
status=$?
[ $status -eq 3 ] || fail "status $status: $(cat err)"
line=$(grep '^plugprof: still running: ' err)
[ "$(echo "$line" | wc -l)" -eq 1 ] || fail "says $(cat err)"
case $line in
*": stays (pid $(cat pid)); a profile is written when each ends, "*) ;;
*) fail "says of what still runs: $line" ;;
esac
# Its hint, as it stands.
hint=$(echo "$line" | sed -n 's/.*of now: plugprof \(symbolize .*\) -o NAME$/\1/p')
# shellcheck disable=SC2086 # words
"$tool" $hint -o now.pb.gz 2>err || fail "$hint: $(cat err)"
has_stack now '> burn_behind$'
stop
"$tool" recover -q --spool="$spool" -o "$work/end.pb.gz" 2>err || fail "recover: $(cat err)"
has_stack end '> burn_behind$'
[ -z "$(ls "$spool")" ] || fail "left $(ls "$spool")"

# The program has ended long before the duration, what it left has not.
"$tool" record --spool="$spool" -F 1000 --heap-interval=off -d 2s -o first.pb.gz -- ./stays 2>err
status=$?
[ $status -eq 3 ] || fail "-d: status $status: $(cat err)"
grep 'still running' err && fail "-d: says so, though all was written"
kill -0 "$(cat pid)" 2>/dev/null || fail "-d: what stayed has ended"
has_stack first '> burn_behind$'
[ -z "$(ls "$spool")" ] || fail "-d: left $(ls "$spool")"
stop

# Nothing stays: nothing is said, and nobody waits for the time to be up.
"$tool" record --spool="$spool" -F 1000 -d 1h -o short.pb.gz -- true 2>err || fail "short: $(cat err)"
grep 'still running' err && fail "short: nothing runs"
finish
