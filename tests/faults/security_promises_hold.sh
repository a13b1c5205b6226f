#!/bin/bash
# What SECURITY.md promises.  As root more of it can be tried: other users' files are made.
. "${srcdir:-.}/tests/e2e/lib.sh"
need_helper processes
program=$helpers/processes
umask 0
is_root=
[ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null && is_root=yes
burn() { # SETTINGS [ARGUMENT]: a process that is sampled
	preload "freq=1000,heap=64k,$1" "$program" burn "${2:-security}" >/dev/null 2>"$work/err"
	[ -s "$work/err" ] && fail "says $(cat "$work/err")"
}
mode() {
	stat -c %a "$1"
}

# --- what others may read ---
burn "spool=$work/made,file=$work/p.%p.pb.gz"
[ "$(mode "$work/made")" = 700 ] || fail "the spool folder has mode $(mode "$work/made")"
for file in "$work"/p.*.pb.gz; do
	[ "$(mode "$file")" = 600 ] || fail "$file has mode $(mode "$file")"
done
preload "freq=1000,heap=off,file=$work/never.pb.gz" "$program" burn kept-as-argument >/dev/null 2>&1 &
for _ in $(seq 100); do
	kept=$(find "$spool" -name '*.spool' | head -n 1)
	[ -n "$kept" ] && break
	sleep 0.02
done
[ -z "$kept" ] || [ "$(mode "$kept")" = 600 ] || fail "a spool has mode $(mode "$kept")"
wait
SECRET_OF_ENVIRONMENT=kept-in-the-environment burn "file=$work/secret.pb.gz" kept-as-argument
for file in "$work/secret.pb.gz" "$work/never.pb.gz"; do
	[ -s "$file" ] || fail "no $file"
	gzip -dc "$file" | grep -aq -e kept-in-the -e kept-as -e SECRET_OF && fail "$file tells too much"
done
# shellcheck disable=SC2016 # the shell's that dies
SECRET_OF_ENVIRONMENT=kept-in-the-environment preload "freq=1000,heap=64k" \
	sh -c 'i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done; kill -9 $$ # kept-as-argument' >/dev/null 2>&1
found=$(find "$spool" -name '*.spool')
[ -n "$found" ] || fail "no spool of a killed process"
for file in $found; do
	grep -aq -e kept-in-the -e kept-as -e SECRET_OF "$file" && fail "$file tells too much"
done
rm -f "$spool"/*

# --- links and folders of others ---
mkdir -m 0777 "$work/open"
ln -s "$work/made" "$work/linked"
for folder in open linked; do
	burn "spool=$work/$folder,file=$work/x.pb.gz"
	[ -z "$(find "$work/open" "$work/made" -name '*.spool')" ] || fail "a spool in a folder that is $folder"
	[ -e "$work/x.pb.gz" ] && fail "a profile although the folder is $folder"
done
echo "mine" >"$work/mine"
ln -s "$work/mine" "$work/own-link.pb.gz"
"$tool" record -q --spool="$spool" --cpu -F 1000 -o "$work/own-link.pb.gz" -- "$program" burn x >/dev/null 2>&1
[ "$(head -c 4 "$work/mine")" != mine ] || fail "one's own link is not followed"
[ -L "$work/own-link.pb.gz" ] || fail "a link was replaced"
# Without -o nothing is replaced, links least of all.
ln -s "$work/nowhere" "$work/planted.pb.gz"
burn "file=$work/planted.pb.gz"
[ -e "$work/nowhere" ] && fail "a dangling link was followed"
ls "$work"/planted.*.pb.gz >/dev/null 2>&1 || fail "no profile beside the name that was taken"

if [ -n "$is_root" ]; then
	mkdir -m 0700 "$work/others"
	chown 65534 "$work/others"
	burn "spool=$work/others,file=$work/x.pb.gz"
	[ -z "$(ls "$work/others")" ] || fail "a spool in another user's folder"
	echo "precious" >"$work/precious"
	ln -s "$work/precious" "$work/trap.pb.gz"
	chown -h 65534 "$work/trap.pb.gz"
	"$tool" record -q --spool="$spool" --cpu -F 1000 -o "$work/trap.pb.gz" -- "$program" burn x \
		>/dev/null 2>"$work/err"
	[ $? -eq 1 ] || fail "another user's link: status $?"
	grep -q 'Too many levels of symbolic links' "$work/err" || fail "another's link: says $(cat "$work/err")"
	[ "$(cat "$work/precious")" = precious ] || fail "a file behind another user's link was replaced"
	rm -f "$spool"/*
fi

# --- a spool's word ---
"$cc" -g -shared -fPIC -o "$work/named.so" -x c - <<'END' || fail "cannot build a plugin"
int spin(void);
int spin(void) { volatile long i; for (i = 0; i < 100000000; i++) {} return 0; }
END
"$cc" -o "$work/opens" -x c - -ldl <<'END' || fail "cannot build a host"
#include <dlfcn.h>
#include <signal.h>
int main(int argc, char **argv)
{
	(void)argc;
	((int (*)(void))dlsym(dlopen(argv[1], RTLD_NOW), "spin"))();
	return raise(SIGKILL);
}
END
preload "freq=1000,heap=off,keep=never,file=$work/told.pb.gz" "$work/opens" "$work/named.so" >/dev/null 2>&1
killed=$(find "$spool" -name '*.spool')
[ -n "$killed" ] || fail "no spool of a killed host"
# What it names is now a pipe that nobody writes to, and a script that would tell.
rm "$work/named.so" "$work/opens"
mkfifo "$work/named.so"
printf '#!/bin/sh\ntouch %s/was-run\n' "$work" >"$work/opens"
chmod +x "$work/opens"
if [ -n "$is_root" ]; then
	chown 65534 "$killed"
	timeout 20 "$tool" recover --spool="$spool" >"$work/out" 2>"$work/err" &&
		fail "another user's spool was believed"
	grep -q "another user's: say where its profile goes with -o" "$work/err" || fail "says $(cat "$work/err")"
	[ -e "$work/told.pb.gz" ] && fail "another user's spool said where to write"
fi
timeout 20 "$tool" recover -q --spool="$spool" -o "$work/asked.pb.gz" >"$work/out" 2>"$work/err" ||
	fail "recover: status $?: $(cat "$work/err")"
[ -s "$work/asked.pb.gz" ] || fail "recover wrote nothing"
[ -e "$work/was-run" ] && fail "what a spool names was run"

# --- privileged programs ---
if [ -n "$is_root" ]; then
	chmod 0711 "$work"
	"$cc" -o "$work/secure" -x c - -ldl <<'END' || fail "cannot build a program"
#include <dlfcn.h>
#include <stdio.h>
#include <sys/auxv.h>
int main(int argc, char **argv)
{
	volatile long i;
	void *library = argc > 1 ? dlopen(argv[1], RTLD_NOW) : NULL;

	for (i = 0; i < 100000000; i++) {}
	printf("secure %lu, opened %d\n", getauxval(AT_SECURE), library != NULL);
	return 0;
}
END
	cp "$agent" "$work/agent.so"
	chmod 0755 "$work/agent.so"
	chown 65534 "$work/secure"
	chmod 4755 "$work/secure"
	mkdir -m 0777 "$work/out-of-it"
	for argument in "" "$work/agent.so"; do
		PLUGPROF="spool=$work/out-of-it/s,file=$work/out-of-it/x.pb.gz,freq=1000,verbose" \
			LD_PRELOAD="$work/agent.so" "$work/secure" ${argument:+"$argument"} >"$work/out" 2>"$work/err"
		grep -q '^secure 1' "$work/out" || {
			echo "no setuid programs here ($(cat "$work/out")): not tried"
			break
		}
		[ -z "$argument" ] || grep -q 'opened 1' "$work/out" || fail "a secure program cannot open the library"
		[ -s "$work/err" ] && fail "a secure program says $(cat "$work/err")"
		[ -z "$(ls "$work/out-of-it")" ] || fail "a secure program leaves $(ls "$work/out-of-it")"
	done
fi
finish
