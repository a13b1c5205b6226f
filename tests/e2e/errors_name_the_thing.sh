#!/bin/bash
# What the tool cannot do it says in one line on stderr that names the thing, with status 2 for a
# mistake in the command and 1 for what went wrong, prints nothing on stdout and leaves no file.
. "${srcdir:-.}/tests/e2e/lib.sh"
need_samples
mkdir "$work/here" "$work/folder"
cd "$work/here" || exit 99
codec=$samples/plugin_codec.so

# A real profile and a real spool, and what damage makes of them.
"$tool" record -q --spool="$spool" -F 1000 -o "$work/good.pb.gz" -- "$samples/host" -t 0.05 "$codec" >/dev/null
(LD_PRELOAD=$agent PLUGPROF="spool=$spool,freq=1000,file=$work/x.pb.gz" \
	"$samples/host" -t 0.05 --exit=kill "$codec"; true) >/dev/null 2>&1
mv "$spool"/*.spool "$work/good.spool" || fail "no spool of a killed host"
head -c 10000 /dev/urandom >"$work/noise"
: >"$work/empty"
head -c 500 "$work/good.spool" >"$work/short.spool"
head -c 5000 "$work/good.spool" >"$work/torn.spool"
{
	head -c 8 "$work/good.spool"
	printf '\377\377\377\377'
	tail -c +13 "$work/good.spool" | head -c 100000
} >"$work/other_version.spool"
head -c 200 "$work/good.pb.gz" >"$work/torn.pb.gz"
gzip -c "$work/noise" >"$work/noise.pb.gz"

# refused STATUS NAMED ARGUMENT...: so the tool answers, and its line has NAMED in it.
refused() {
	expected=$1
	named=$2
	shift 2
	wait_no_longer_than 60 "$tool" "$@" >"$work/out" 2>"$work/err" </dev/null
	status=$?
	[ $status -eq "$expected" ] || fail "status $status, not $expected: plugprof $*: $(cat "$work/err")"
	[ -s "$work/out" ] && fail "on stdout: plugprof $*: $(head -n 3 "$work/out")"
	[ "$(wc -l <"$work/err")" -eq 1 ] || fail "not one line: plugprof $*: $(cat "$work/err")"
	grep -q '^plugprof: ' "$work/err" || fail "does not begin with plugprof: $(cat "$work/err")"
	grep -qF -- "$named" "$work/err" || fail "does not name $named: $(cat "$work/err")"
	[ "$(wc -c <"$work/err")" -le 300 ] || fail "long: $(cat "$work/err")"
	[ -z "$(find "$work/here" "$work/folder" -mindepth 1)" ] ||
		fail "plugprof $* leaves: $(find "$work/here" "$work/folder" -mindepth 1)"
	[ -z "$(ls -A "$spool")" ] || fail "plugprof $* leaves in the spool folder: $(ls -A "$spool")"
	rm -rf "${work:?}/here"/* "${spool:?}"/*
}

# Commands and options.
refused 2 nonsense nonsense
for command in record symbolize inspect plugins doctor recover clean leaks snapshot; do
	refused 2 --nonsense $command --nonsense
	refused 2 -Z $command -Z
	refused 2 '--help' $command --nonsense # what to do
done
refused 2 program record
refused 2 program record -F 99 --
refused 2 -F record -F
refused 2 --output record --output
for value in abc 0 -1 10001 99999999999999999999 1.5 99hz ''; do

	refused 2 "freq" record "--freq=$value" true
done
for value in abc 0 5x 1h30 -1s 99999999999d; do
	refused 2 "\"$value\"" record -d "$value" true
done
refused 2 -- record --raw=yes true
refused 2 profile symbolize
refused 2 profile symbolize a b
refused 2 profile inspect
refused 2 profile inspect a b
refused 2 profile plugins
refused 2 library doctor

# The environment.
for setting in nonsense freq=abc freq freq=0 duration=soon file= raw=1 cpu,freq=99,nosuch=1; do
	export PLUGPROF=$setting
	word=${setting##*,}
	refused 2 "${word%%=*}" record true
	refused 2 PLUGPROF record true
	unset PLUGPROF
done

# Programs.
refused 1 /nonexistent/program record /nonexistent/program
refused 1 no-such-program-here record no-such-program-here
refused 1 "$work/folder" record "$work/folder"
printf '#!/nonexistent/interpreter\n' >"$work/script"
chmod +x "$work/script"
refused 1 "$work/script" record --spool="$spool" "$work/script"
printf '\177ELFnonsense' >"$work/broken"
chmod +x "$work/broken"
refused 1 "$work/broken" record --spool="$spool" "$work/broken"
printf 'echo\n' >"$work/no_program"
refused 1 "$work/no_program" record "$work/no_program"

# Where to write: found out before the program runs.
ran=$work/ran
for name in /nonexistent/folder/x.pb.gz "$work/noise/x.pb.gz" "$work/folder"; do
	refused 1 "${name%/x.pb.gz}" record --spool="$spool" -o "$name" -- touch "$ran"
	[ -e "$ran" ] && fail "$name: the program ran"
	rm -f "$ran"
done
mkdir -m 1777 "$work/shared" || exit 99
ln -s "$spool" "$work/link" || exit 99
for folder in /nonexistent/spool/folder "$work/noise" "$work/shared" "$work/link"; do
	refused 1 "$folder" record --spool="$folder" -- touch "$ran"
	[ -e "$ran" ] && fail "spool $folder: the program ran"
	rm -f "$ran"
done
if mkdir "$work/read_only" && mount -t tmpfs -o ro none "$work/read_only" 2>/dev/null; then
	refused 1 "$work/read_only" record --spool="$spool" -o "$work/read_only/x.pb.gz" true
	refused 1 "$work/read_only" record --spool="$work/read_only" true
	refused 1 "$work/read_only" symbolize -o "$work/read_only/x.pb.gz" "$work/good.pb.gz"
	umount "$work/read_only"
else
	echo "no read-only folder can be made here"
fi
refused 1 /nonexistent/x.pb.gz symbolize -o /nonexistent/x.pb.gz "$work/good.pb.gz"
refused 1 "$work/folder" symbolize -o "$work/folder" "$work/good.pb.gz"
refused 1 /dev/full symbolize -o /dev/full "$work/good.pb.gz"

# What to read.
for command in symbolize inspect plugins leaks snapshot; do
	for file in noise empty torn.pb.gz noise.pb.gz short.spool other_version.spool folder; do
		refused 1 "$work/$file" $command "$work/$file"
	done
	refused 1 /nonexistent/x.pb.gz $command /nonexistent/x.pb.gz
	refused 1 '/nonexistent/?[31m?x' $command "$(printf '/nonexistent/\033[31m\nx')"
done
for file in noise empty good.pb.gz short.spool other_version.spool folder; do
	refused 1 "$work/$file" recover "$work/$file"
done
refused 1 /nonexistent/x.spool recover /nonexistent/x.spool
refused 1 "$work/noise" recover --spool="$work/noise"

for file in noise empty folder; do
	refused 1 "$work/$file" doctor "$work/$file"
done
refused 1 /nonexistent/x.so doctor /nonexistent/x.so
refused 1 999999999 doctor 999999999
refused 1 "$work/noise" doctor --host="$work/noise" "$codec"

# Of a copy that was cut short, what is whole is read; that is said, and the copy is kept.
for command in symbolize inspect plugins recover; do
	wait_no_longer_than 60 "$tool" $command "$work/torn.spool" >"$work/out" 2>"$work/err" ||
		fail "$command of a torn spool: status $?"
	grep -q "^plugprof: $work/torn.spool was cut short" "$work/err" ||
		fail "$command does not say that the spool is cut short: $(cat "$work/err")"
	[ -e "$work/torn.spool" ] || fail "$command deletes what it could not read"
done

# A disk that is full at the end: the samples are kept, and it is said how to get them.
"$tool" record --spool="$spool" -F 1000 -o /dev/full -- "$samples/host" -t 0.05 "$codec" >"$work/out" 2>"$work/err"
status=$?
[ $status -eq 1 ] || fail "full disk: status $status"
grep -q '^plugprof: cannot write /dev/full: No space left on device$' "$work/err" ||
	fail "full disk: $(cat "$work/err")"
kept=$(find "$spool" -name '*.spool')
grep -qF "plugprof recover -o NAME $kept" "$work/err" || fail "full disk: does not say how to go on"
"$tool" recover -q -o "$work/kept.pb.gz" "$kept" || fail "full disk: recover as told: status $?"
[ -s "$work/kept.pb.gz" ] || fail "full disk: nothing recovered"

# A program that cannot be preloaded says so, with its own output.
printf 'int main(void) { for (volatile long i = 0; i < 50000000; i++) ; return 0; }\n' >"$work/static.c"
if $cc -static -o "$work/static" "$work/static.c" 2>/dev/null; then
	refused 1 static record --spool="$spool" "$work/static"
else
	echo "no static libc: nothing to say about static programs"
fi

# --- what goes right ---

# Help: on stdout, status 0, with the environment's spelling of every setting.
for command in '' record symbolize inspect plugins doctor recover clean; do
	# shellcheck disable=SC2086 # no command is no argument
	"$tool" $command --help >"$work/out" 2>"$work/err" || fail "$command --help: status $?"
	[ -s "$work/err" ] && fail "$command --help on stderr: $(cat "$work/err")"
	grep -q '^usage: plugprof' "$work/out" || fail "$command --help has no usage"
done
"$tool" record --help >"$work/out"
for setting in freq=HZ file=NAME duration=TIME raw spool=FOLDER verbose; do
	grep -q "or PLUGPROF=$setting\$" "$work/out" || fail "record --help has no PLUGPROF=$setting"
done
"$tool" --version >"$work/out" 2>&1 || fail "--version: status $?"
grep -Eq '^plugprof [0-9]' "$work/out" || fail "--version: $(cat "$work/out")"
# Nothing to recover is no error.
"$tool" recover --spool="$spool" >"$work/out" 2>"$work/err" || fail "nothing to recover: status $?"
[ -s "$work/out" ] && fail "recover prints: $(cat "$work/out")"
finish
