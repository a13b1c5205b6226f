#!/bin/bash
# plugprof plugins: what each build of a plugin costs, how it came and went, and in words what it left
# open: descriptors, handles, itself.
. "${srcdir:-.}/tests/e2e/lib.sh"
need_samples
need_helper cycles
command -v python3 >/dev/null || skip "python3 is not installed"

# Each cycle works a while; 14 of 1000 descriptors are closed.
cat >"$work/plugin.c" <<'C'
#include <fcntl.h>
#include <unistd.h>
static volatile unsigned sink;
int plugin_cycle(int number)
{
	int descriptor = LEAKS ? open("/dev/null", O_RDONLY) : -1;
	for (unsigned i = 0; i < WORK; i++)
		sink += i;
	if (descriptor >= 0 && number % 71 == 70)
		close(descriptor);
	return number;
}
C
build() { # NAME BUILD-ID LEAKS WORK FLAG...
	local name=$1 id=$2 leaks=$3 amount=$4
	shift 4
	$cc -O1 -shared -fPIC -Wl,--build-id="$id" "-DLEAKS=$leaks" "-DWORK=$amount" "$@" \
		-o "$work/$name" "$work/plugin.c" || fail "cannot build $name"
}
id_of() { printf '0x%02d%038d' "$1" "$1"; }
build leaky.so "$(id_of 1)" 1 200000
build clean.so "$(id_of 2)" 0 200000

# plugins ARGUMENT...: what it prints, in $work/out.
plugins() {
	wait_no_longer_than 60 "$tool" plugins "$@" >"$work/out" 2>"$work/err" ||
		fail "plugins $*: status $?: $(cat "$work/err")"
	[ -s "$work/err" ] && fail "plugins $* says: $(cat "$work/err")"
}
# value EXPRESSION: of the JSON document in $work/out, d; p is the first plugin.
value() {
	python3 -c 'import json, sys
d = json.load(open(sys.argv[1], encoding="utf-8"))
p = (d["plugins"] or [None])[0]
print(eval(sys.argv[2]))' "$work/out" "$1"
}
# is EXPRESSION: it is true.
is() {
	[ "$(value "$1")" = True ] || fail "not so: $1: $(value "d['plugins']")"
}

# 1,000 cycles that leave 986 descriptors open, and a plugin beside it that leaves none.
(
	failures=0
	ulimit -n 4096 2>/dev/null
	record_well cycles -F 1000 -- "$helpers/cycles" 1000 0 "$work/leaky.so"
	[ $failures -eq 0 ]
) || fail "1,000 cycles"
plugins "$work/cycles.pb.gz"
# Descriptors are counted once in a millisecond, in which several cycles may pass.
has '^leaky\.so: the process has 9[0-9][0-9] descriptors more than before .*, in 1000 loads$'
has '^leaky\.so: loaded 1000 times, unloaded 1000 times$'
has ' 1000 +1000 +0 +\+9[0-9][0-9] 993-1000 +010000000000 '"$work/leaky\\.so\$"
has_not 'still open'
plugins --json "$work/cycles.pb.gz"
is '(p["loads"], p["unloads"], p["references"]) == (1000, 1000, 0)'
is '900 < p["descriptors_after"] - p["descriptors_before"] <= 1000'
is '[g["number"] for g in p["generations"]] == list(range(993, 1001))'
is 'all(a["load_ns"] < a["unload_ns"] <= b["load_ns"] for a, b in zip(p["generations"], p["generations"][1:]))'
is '[r["kind"] for r in d["remarks"]] == ["descriptors", "loads"]'

record_well tidy -F 1000 -- "$helpers/cycles" 9 0 "$work/clean.so"
plugins "$work/tidy.pb.gz"
has_not '^clean'

# 986 handles that are not closed; a plugin for which the loader counts no closes.
build stays.so "$(id_of 3)" 0 200000 -Wl,-z,nodelete
record_well handles -F 1000 -- "$helpers/cycles" 1000 986 "$work/clean.so"
plugins "$work/handles.pb.gz"
has '^clean\.so: still open 986 times: dlopen without dlclose'
has_not 'descriptors|still loaded'
record_well stays -F 1000 -- "$helpers/cycles" 20 0 "$work/stays.so"
plugins "$work/stays.pb.gz"
has '^stays\.so: still open 20 times: .*NODELETE'

# Two builds at one path, the second one three times as dear.
build first.so "$(id_of 4)" 0 60000000
build second.so "$(id_of 5)" 0 180000000
cat >"$work/swap.c" <<'C'
#include <dlfcn.h>
#include <stdio.h>
int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		void *handle;
		if (rename(argv[i], "hot.so") != 0 || !(handle = dlopen("./hot.so", RTLD_NOW)))
			return 1;
		((int (*)(int))dlsym(handle, "plugin_cycle"))(0);
		dlclose(handle);
	}
	return 0;
}
C
$cc -o "$work/swap" "$work/swap.c" || fail "cannot build swap"
(
	failures=0
	cd "$work" || exit
	cp first.so 1.so && cp second.so 2.so && cp first.so 3.so
	record_well hot -F 1000 -- ./swap 1.so 2.so 3.so
	[ $failures -eq 0 ]
) || fail "hot reload"
plugins --json "$work/hot.pb.gz"
is '[p["build_id"][:2] for p in d["plugins"]] == ["05", "04"]'
is '[[g["number"] for g in p["generations"]] for p in d["plugins"]] == [[2], [1, 3]]'
is 'p["path"].endswith("/hot.so") and p["path"] == d["plugins"][1]["path"]'
is '0.45 < p["cpu_ns"] / d["all"]["cpu_ns"] < 0.75' # three of five
is 'all(p["cpu_ns"] == p["cpu_self_ns"] == p["cpu_total_ns"] for p in d["plugins"])'
plugins -v "$work/hot.pb.gz"
has '^hot\.so \(0500000000000*\): 2 builds were loaded from '
has '^ +generation 2: loaded at 0\.[0-9]{3} s, unloaded at [0-9.]+ s$'
has " $(printf '04%038d' 4) "

# What a plugin needs is not a plugin; libc's time on its behalf is the plugin's.
record_well shapes -F 1000 -- "$samples/host" -t 0.2 "$samples/plugin_shapes.so" "$samples/plugin_codec.so"
plugins --json "$work/shapes.pb.gz"
is 'sorted(p["path"].split("/")[-1] for p in d["plugins"]) == ["plugin_codec.so", "plugin_shapes.so"]'
is 'sum(p["cpu_ns"] for p in d["plugins"]) + d["host"]["cpu_ns"] + d["other_libraries"]["cpu_ns"] == d["all"]["cpu_ns"]'
is 'all(p["cpu_self_ns"] <= p["cpu_ns"] <= d["all"]["cpu_ns"] for p in d["plugins"])'
plugins --all --json "$work/shapes.pb.gz"
is '{"libstdc++.so.6", "host", "libc.so.6"} <= {p["path"].split("/")[-1] for p in d["plugins"]}'
is '[p["is_plugin"] for p in d["plugins"]].count(True) == 2'

# Memory: of two files, and both kinds of a process that runs and was asked about by its number.
record_well memory -F 1000 --heap-interval=64k -- "$samples/host" -t 0.2 --close \
	"$samples/plugin_heap.so" "$samples/plugin_codec.so"
plugins "$work/memory.pb.gz" "$work/memory.heap.pb.gz"
has '^plugin_heap\.so: 6[0-9]\.[0-9] MiB that it allocated are in use although it was unloaded since$'
plugins --json "$work/memory.pb.gz" "$work/memory.heap.pb.gz"
is '[p["live_bytes"] >> 20 for p in d["plugins"] if p["path"].endswith("/plugin_codec.so")] == [0]'
is 'all(p["leaked_bytes"] == p["live_bytes"] <= p["allocated_bytes"] for p in d["plugins"])'
is 'all(p["cpu_ns"] > 0 for p in d["plugins"])'
LD_PRELOAD=$agent PLUGPROF="spool=$spool,freq=1000,heap=64k" \
	"$samples/host" -n 0 -t 20 "$samples/plugin_heap.so" >/dev/null 2>&1 &
host=$!
for _ in $(seq 200); do
	"$tool" plugins --json $host >"$work/out" 2>"$work/err" &&
		[ "$(value 'p is not None and p["live_bytes"] > 32 << 20 and p["cpu_ns"] > 0')" = True ] && break
	sleep 0.05
done
is 'p["live_bytes"] > 32 << 20 and p["leaked_bytes"] == 0 and p["cpu_ns"] > 0'
is 'p["loads"] == 1 and p["unloads"] == 0 and p["references"] == 1'
is 'p["descriptors_after"] == '"$(find "/proc/$host/fd" -type l | wc -l)"
kill -KILL $host
wait $host 2>/dev/null
rm -f "$spool"/*.spool

# Of a process that was killed, its spool will do; a path of any bytes is good JSON.
odd=$work/$(printf 'a"b\\c\377.so')
cp "$work/clean.so" "$odd"
(timeout -s KILL 1 env LD_PRELOAD="$agent" PLUGPROF="spool=$spool,freq=1000" \
	"$helpers/cycles" 100000000 0 "$odd"; true) >/dev/null 2>&1
plugins --json "$spool"/*.spool
is 'p["path"].endswith("/a\"b\\c\ufffd.so") and p["loads"] > 10'

# Other people's profiles: what they tell, and one line about what they do not.
"$tool" plugins "$source_folder/tests/fuzz/corpus/profile/good-labels" >"$work/out" 2>"$work/err" ||
	fail "a profile of another tool: status $?: $(cat "$work/err")"
[ "$(wc -l <"$work/err")" -eq 1 ] || fail "a profile of another tool: $(cat "$work/err")"
grep -q 'does not tell of loads' "$work/err" || fail "a profile of another tool: $(cat "$work/err")"
if "$tool" plugins "$work/hot.pb.gz" "$work/cycles.pb.gz" >"$work/out" 2>"$work/err"; then
	fail "two profiles of CPU time are added up"
fi
grep -q 'cycles.pb.gz holds the same kind' "$work/err" || fail "two profiles: $(cat "$work/err")"
finish
