#!/bin/bash
# Every sample's stdout, stderr and exit status are byte for byte the same with the agent, under
# plugprof record -q, and without either; however it ends.
. "${srcdir:-.}/tests/e2e/lib.sh"
need_samples

# plugprof record gives 128+N for signal N, which is what a shell makes of it too.
run() {
	(cd "$work/run" && wait_no_longer_than 100 "$@") >"$work/$mode.out" 2>"$work/$mode.err"
	echo "status $?" >"$work/$mode.status"
	# The shell between us tells what the program died of, with a pid.
	sed -i '/\/lib\.sh: line [0-9]*: /d' "$work/$mode.err"
}

runs_the_same() {
	rm -rf "$work/run"
	mkdir "$work/run"
	mode=plain
	run "$@"
	mode=agent
	run env LD_PRELOAD="$agent" PLUGPROF="spool=$spool,freq=1000,file=$work/agent.pb.gz" "$@"
	mode=record
	run "$tool" record -q --spool="$spool" -F 1000 -o "$work/record.pb.gz" -- "$@"

	for mode in agent record; do
		for what in out err status; do
			cmp -s "$work/plain.$what" "$work/$mode.$what" || {
				fail "$what differs, $mode: $*"
				diff "$work/plain.$what" "$work/$mode.$what" | head -n 5
			}
		done
	done
	[ -z "$(ls -A "$work/run")" ] || fail "left in the working directory: $(ls -A "$work/run")"
	# Those that die leave their spool, for recover.
	rm -f "$spool"/*.spool "$work"/*.pb.gz
}

mapfile -t six < <(plugins codec nofp chain shapes thrower heap)
for plugin in codec nofp chain shapes thrower heap; do
	runs_the_same "$samples/host" "$samples/plugin_$plugin.so"
done
runs_the_same "$samples/host" -n 4 "${six[@]}"
runs_the_same "$samples/host" -n 0 "${six[@]}"
runs_the_same "$samples/host" --close "${six[@]}"
runs_the_same "$samples/host" --in-turn -r 3 "${six[@]}" "${six[@]}"
runs_the_same "$samples/host" --exec "$samples/plugin_codec.so"
runs_the_same "$samples/host" --fork "${six[@]}"
runs_the_same "$samples/host" --fork --exec "$samples/plugin_codec.so" "$samples/plugin_shapes.so"
for how in return exit _exit quick_exit abort segv kill; do
	runs_the_same "$samples/host" --status=3 --exit=$how --linger "$samples/plugin_thrower.so"
	runs_the_same "$samples/host" --status=3 --exit=$how --fork "$samples/plugin_codec.so"
done
# What they say when they cannot.
runs_the_same "$samples/host" /nonexistent/plugin.so
runs_the_same "$samples/host" "$samples/deps/libchain_dep.so"
runs_the_same "$samples/host" --nonsense
runs_the_same "$samples/cxxhost" "$samples/boundary.so"
runs_the_same "$samples/cxxhost"
runs_the_same "$samples/sorter"
runs_the_same "$samples/sorter" -n 8 -r 3
if [ -x "$samples/gohost" ]; then
	runs_the_same "$samples/gohost" "$samples/goplugin.so"
	runs_the_same "$samples/gohost" -n 1 -r 2 "$samples/goplugin.so"
	runs_the_same "$samples/gohost" /nonexistent/plugin.so
fi
# Other people's programs.
runs_the_same sh -c 'echo out; echo err >&2; kill -USR1 $$'
runs_the_same sh -c 'trap "echo trapped; exit 5" TERM; kill -TERM $$; exit 6'
runs_the_same sh -c 'seq 100000 | head -n 1; ls /nonexistent; exit 9'
runs_the_same env -i PATH="$PATH" sh -c 'env | grep -v -e ^LD_PRELOAD= -e ^PLUGPROF= -e ^_= | sort'
finish
