#!/bin/bash
# Plugins are opened and closed all the time in two threads, sampled at 1000 Hz: nothing hangs or
# crashes, results are right, and every frame has the name it had when it was sampled.
. "${srcdir:-.}/tests/e2e/lib.sh"
need_samples
need_helper reload
need_go

# Each a copy, so that one can be gone by the end.
for plugin in codec nofp shapes; do
	cp "$samples/plugin_$plugin.so" "$work/$plugin.so"
done
milliseconds=2000
record_well reload -F 1000 -- "$helpers/reload" $milliseconds "$work/codec.so" "$work/nofp.so" "$work/shapes.so"
[ "$(cat "$work/reload.out")" = "done" ] || fail "reload prints: $(head "$work/reload.out")"
stacks reload
every_stack_is_whole reload "$any_root"
for function in codec_huffman codec_dct nofp_01 nofp_12 acme::shapes::circle::area; do
	has " $function\$"
done
# The same build loaded again is the same library: one mapping each, however often it came.
pprof reload -raw
for plugin in codec nofp shapes; do
	count=$(grep -c "^[0-9]*: 0x.* $work/$plugin\\.so " "$work/out")
	[ "$count" -eq 1 ] || fail "$plugin.so has $count mappings"
done
# Plugins do not take each other's time at one address: nofp's functions are in nofp.so.
awk -v work="$work/" '
	/^[0-9]+: 0x[0-9a-f]+\/0x/ { name[$1 + 0] = $3 }
	/^ +[0-9]+: 0x[0-9a-f]+ M=[0-9]+ (nofp|codec)_/ {
		split($3, mapping, "=")
		mapped[NR] = mapping[2]
		function_name[NR] = $4
	}
	END {
		for (i in mapped) {
			library = substr(function_name[i], 1, index(function_name[i], "_") - 1)
			if (name[mapped[i]] != work library ".so") {
				print function_name[i] " in " name[mapped[i]]
				bad = 1
			}
		}
		exit bad
	}' "$work/out" || fail "a function in another library"
# All of the CPU time is there: three threads, each at most a kernel tick less.
periods=$(total reload)
if [ "$periods" -lt $((3 * (milliseconds - 12))) ] || [ "$periods" -gt $((3 * milliseconds + 60)) ]; then
	fail "$periods periods of about $((3 * milliseconds))"
fi

# One at a time, often at the same address, and the file deleted right after it was opened.
cp "$samples/plugin_codec.so" "$work/one.so"
cp "$samples/plugin_nofp.so" "$work/two.so"
record_well in_turn -F 1000 -- "$samples/host" --in-turn -n 2 -t 0.15 \
	"$work/codec.so" "$work/nofp.so" "$work/shapes.so" "$work/codec.so" "$work/nofp.so"
stacks in_turn
every_stack_is_whole in_turn "$any_root"
for function in codec_huffman nofp_12 acme::shapes::circle::area; do
	has " $function\$"
done
record_well deleted -F 1000 -- "$samples/host" --in-turn --delete -t 0.3 "$work/one.so" "$work/two.so"
[ -e "$work/one.so" ] && fail "--delete did not delete"
pprof deleted -raw
has_not '\(deleted\)'
finish
