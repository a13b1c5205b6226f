#!/bin/bash
# Programs in namespaces of their own, as containers have them: other process numbers, other file systems,
# read-only ones, no /proc or one that hides, other users.  They run as without the library; what they leave
# is found from outside, and not taken away while it is in use.
. "${srcdir:-.}/tests/e2e/lib.sh"
need_go
for tool_needed in unshare setpriv chroot; do
	command -v $tool_needed >/dev/null || skip "no $tool_needed"
done
[ "$(id -u)" = 0 ] || skip "only root can make every kind of namespace"
unshare -pmf --mount-proc true 2>"$work/err" || skip "no namespaces: $(cat "$work/err")"
cd "$work" || exit 99

cat >burn.c <<'END'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
__attribute__((noinline)) static long burn_here(void)
{
	volatile long i;

	for (i = 0; i < 150000000; i++) {
	}
	return i;
}
int main(int argc, char **argv)
{
	void *memory = malloc(1 << 20);

	printf("%ld %d\n", burn_here(), memory != NULL);
	fflush(stdout);
	free(memory);
	if (argc > 1 && strcmp(argv[1], "wait") == 0)
		for (;;)
			pause();
	return 5;
}
END
"$cc" -g burn.c -o burn || exit 99

settings="spool=$spool,freq=1000,heap=off,include=burn"
# inside SCRIPT: in a mount namespace of its own, where the script ends in the program: the same output, status
# and stderr with and without.
inside() {
	unshare -m sh -c "$1" >plain.out 2>plain.err
	plain=$?
	unshare -m sh -c "LIBRARY=$agent; export PLUGPROF='$settings,file=$work/out.pb.gz'; $1" >agent.out 2>agent.err
	status=$?
	[ $plain -eq 5 ] || fail "$name: without: status $plain: $(head -n 2 plain.err)"
	[ $status -eq $plain ] || fail "$name: status $status: $(head -n 2 agent.err)"
	cmp -s plain.out agent.out || fail "$name: prints $(head -n 2 agent.out)"
	cmp -s plain.err agent.err || fail "$name: says $(head -n 2 agent.err)"
}
# shellcheck disable=SC2016 # the inner shell's
burn='exec env ${LIBRARY:+LD_PRELOAD="$LIBRARY"} ./burn'
sampled() {
	has_stack "$1" 'main > burn_here'
	rm -f "$1.pb.gz"
}
nothing_left() {
	[ -z "$(ls "$spool")" ] || fail "$name: left $(ls "$spool")"
	rm -f "$spool"/*
}
recovered() {
	"$tool" recover -q --spool="$spool" -o "$work/recovered.pb.gz" 2>err || fail "$name: recover: $(cat err)"
	sampled recovered
	nothing_left
}
record() {
	"$tool" record -q --spool="$spool" -F 1000 --heap-interval=off --include=burn "$@" >record.out 2>record.err
}

# --- process numbers ---
name="a pid namespace"
record -o pid.pb.gz -- unshare -pmf --mount-proc ./burn
status=$?
[ $status -eq 5 ] || fail "$name: status $status: $(cat record.err)"
[ -s record.err ] && fail "$name: record says $(cat record.err)"
sampled pid
nothing_left

name="two processes with one number"
record -o 'two.%n.pb.gz' -- sh -c 'unshare -pf ./burn & unshare -pf ./burn & wait'
for file in two.*.pb.gz; do
	sampled "${file%.pb.gz}"
done
[ "$(ls two.*.pb.gz 2>/dev/null)" ] && fail "$name: more files"
[ "$(grep -c '^150000000' record.out)" -eq 2 ] || fail "$name: $(cat record.out)"
nothing_left

name="a process of another pid namespace that runs"
PLUGPROF="$settings,file=$work/own.pb.gz" \
	unshare -pf --kill-child env LD_PRELOAD="$agent" ./burn wait >wait.out 2>&1 &
outer=$!
until [ -s wait.out ]; do
	kill -0 $outer 2>/dev/null || break
	sleep 0.05
done
for from in "" "unshare -pmf --mount-proc"; do
	# shellcheck disable=SC2086 # words
	$from "$tool" recover --spool="$spool" -o taken.pb.gz >out 2>err
	[ -e taken.pb.gz ] && fail "$name: its spool is taken away ($from)"
	grep -q '^plugprof: nothing to recover' err || fail "$name: recover says $(cat err) ($from)"
done
"$tool" recover -o taken.pb.gz "$spool"/1.0.spool 2>err && fail "$name: recover takes it by name"
grep -q 'belongs to process 1, which runs' err || fail "$name: recover says $(cat err)"
# Another one ends beside it, and cleans up.
PLUGPROF="$settings,file=$work/other.pb.gz" unshare -pf env LD_PRELOAD="$agent" ./burn >out 2>err
sampled other
[ -e "$spool/1.0.spool" ] || fail "$name: its spool was taken away by another one's end"
{
	kill -9 $outer
	wait $outer
} 2>/dev/null # bash tells of whom a signal ended
# The kernel ends what was in the namespace a little later.
for _ in 1 2 3 4 5 6 7 8 9 10; do
	"$tool" recover -q --spool="$spool" -o "$work/recovered.pb.gz" 2>err
	[ -e recovered.pb.gz ] && break
	sleep 0.1
done
sampled recovered
nothing_left

# Before exec this very process may have left an empty spool, which is removed.  With the same number and start
# it may be another's, of another namespace.
name="a spool with one's own number that is in use"
cat >keeps.c <<'END'
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "spool/spool_format.h"
int main(int argc, char **argv)
{
	const struct spool_header header = { .magic = SPOOL_MAGIC, .version = SPOOL_VERSION,
		.header_size = sizeof(header), .pid = (uint32_t)getpid() };
	struct spool_header *mapped;
	char path[4096], stat[1024] = "", *at;
	int file, i;

	snprintf(path, sizeof(path), "%s/%d.0.spool", argv[1], getpid());
	file = open(path, O_RDWR | O_CREAT, 0600);
	if (write(file, &header, sizeof(header)) != sizeof(header))
		return 1;
	mapped = mmap(NULL, sizeof(header), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	close(file);
	file = open("/proc/self/stat", O_RDONLY);
	if (read(file, stat, sizeof(stat) - 1) < 0)
		return 1;
	for (at = strrchr(stat, ')'), i = 2; i < 22; i++)
		at = strchr(at + 1, ' ');
	mapped->process_start_ticks = strtoull(at, NULL, 10);
	if (argc > 3 && fork() == 0) { /* the other one, as if its number were that of the file */
		mapped->pid = (uint32_t)getpid();
		sleep(60);
		_exit(0);
	}
	setenv("LD_PRELOAD", argv[2], 1);
	execl("./burn", "burn", NULL);
	return 1;
}
END
"$cc" -I"$source_folder/src" keeps.c -o keeps || exit 99
PLUGPROF="$settings,file=$work/own.pb.gz" ./keeps "$spool" "$agent" >out 2>err
sampled own
nothing_left
PLUGPROF="$settings,file=$work/own.pb.gz" \
	setsid sh -c 'echo $$ >group; exec ./keeps "$@"' sh "$spool" "$agent" kept >out 2>err &
wait $!
[ "$(ls "$spool")" = "$(cat group).0.spool" ] || fail "$name: there is $(ls "$spool")"
sampled own
kill -- "-$(cat group)" 2>/dev/null
rm -f "$spool"/* ./*.pb.gz

# --- file systems ---
name="another spool folder"
record -o mounted.pb.gz -- unshare -m sh -c "mount -t tmpfs -o mode=700 none $spool && exec ./burn"
grep -q 'no program that ran is one to record' record.err || fail "$name: record says $(cat record.err)"
sampled mounted
nothing_left

name="no spool folder"
record -o mounted.pb.gz -- unshare -m sh -c "mount -t tmpfs -o ro none /dev/shm
	mount -t tmpfs -o ro none $spool; exec ./burn"
grep -q '^150000000' record.out || fail "$name: prints $(cat record.out)"
[ -e mounted.pb.gz ] && fail "$name: there is a profile"
nothing_left

name="nothing can be written"
mountable='mount -o remount,bind,ro / && mount -t tmpfs -o ro none /dev/shm'
inside "$mountable; mount --bind -o ro $work $work; mount -o remount,bind,ro $work; $burn"
[ -e out.pb.gz ] && fail "$name: there is a profile"
nothing_left

name="the profile's folder is read-only"
inside "mount --bind $work $work && mount -o remount,bind,ro $work && cd $work && $burn"
[ -e out.pb.gz ] && fail "$name: there is a profile"
recovered

name="no /proc"
inside "umount -l /proc && $burn"
sampled out
nothing_left

name="a /proc that hides"
chmod 755 "$work"
mkdir "$spool/nobody"
chmod 755 "$spool"
chown 65534 "$spool/nobody"
hiding='mount -t proc -o hidepid=2 none /proc'
inside "$hiding && ${burn/env/setpriv --reuid=65534 --clear-groups env}"
rmdir "$spool/nobody"
rm -f "$spool"/*
record --spool="$spool" -o hidden.pb.gz -- unshare -m sh -c "$hiding; exec ./burn"
sampled hidden
nothing_left

name="another root folder"
mkdir root
cp burn root/
ldd burn | grep -o '/[^ ]*' | while read -r library; do
	mkdir -p "root${library%/*}"
	cp "$library" "root$library"
done
mkdir -p "root${agent%/*}"
cp "$agent" "root$agent"
inside "${burn/.\/burn/chroot root ./burn}"
rm -rf root

# --- users ---
name="a user namespace"
record -o user.pb.gz -- unshare -Ur ./burn
sampled user
nothing_left
name="a user without a number"
record -o user.pb.gz -- unshare -U ./burn
grep -q '^150000000' record.out || fail "$name: prints $(cat record.out)"
rm -f user.pb.gz
nothing_left
finish
