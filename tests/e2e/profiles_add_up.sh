#!/bin/bash
# plugprof merge adds profiles up as go tool pprof does with the same list of files: the totals, each
# function's numbers, the labels.  What does not fit is refused, and nothing is written.
. "${srcdir:-.}/tests/e2e/lib.sh"
need_samples
need_go

# --- processes at different addresses, another program, no plugin ---
record_well one -F 1000 -- "$samples/host" -t 0.3 --fork "$samples/plugin_codec.so" "$samples/plugin_heap.so"
record_well two -F 1000 -- "$samples/host" -t 0.3 "$samples/plugin_codec.so" "$samples/plugin_nofp.so"
record_well three -F 1000 --cpu -- "$samples/cxxhost" "$samples/boundary.so"
mapfile -t cpu < <(cd "$work" && find . -name '*.pb.gz' ! -name '*.heap.pb.gz' | sort)
mapfile -t heap < <(cd "$work" && find . -name '*.heap.pb.gz' | sort)
[ ${#cpu[@]} -eq 4 ] || fail "four processes, and ${#cpu[@]} profiles: ${cpu[*]}"
[ ${#heap[@]} -ge 2 ] || fail "no heap profiles"

# as_pprof NAME FILE...: the same as pprof's own sum, view by view.  The order among equals and the
# header (Time, Duration) are no part of it.
as_pprof() {
	sum=$1
	shift
	(cd "$work" && "$tool" merge -o "$sum.pb.gz" "$@") 2>"$work/err" ||
		fail "merge $sum: $(cat "$work/err")"
	grep -qx "plugprof: wrote $sum.pb.gz: $# profiles" "$work/err" || fail "$sum: says $(cat "$work/err")"
	"$tool" check -q "$work/$sum.pb.gz" || fail "$sum: not a good profile"
	for index in "${indexes[@]}"; do
		for view in -tags '-top -lines'; do
			# shellcheck disable=SC2086
			(cd "$work" && "$go" tool pprof $view -nodecount=0 -nodefraction=0 -edgefraction=0 \
				-sample_index="$index" "$@") 2>/dev/null |
				grep -v -e ^Time: -e ^Duration: -e ^plugprof | sort >"$work/theirs"
			# shellcheck disable=SC2086
			(cd "$work" && "$go" tool pprof $view -nodecount=0 -nodefraction=0 -edgefraction=0 \
				-sample_index="$index" "$sum.pb.gz") 2>/dev/null |
				grep -v -e ^Time: -e ^Duration: -e ^plugprof | sort >"$work/ours"
			[ "$(wc -l <"$work/ours")" -gt 5 ] || fail "$sum: $view shows nothing"
			# pprof prints sum% by the order of equals
			for file in theirs ours; do
				awk '{ if ($1 ~ /[0-9]/ && $3 ~ /%$/) $3 = ""; print }' "$work/$file" |
					sort >"$work/$file.lines"
			done
			cmp -s "$work/theirs.lines" "$work/ours.lines" || {
				fail "$sum: $view -sample_index=$index differs from pprof's sum"
				diff "$work/theirs.lines" "$work/ours.lines" | head -n 6
			}
		done
	done
}
indexes=(cpu)
as_pprof all-cpu "${cpu[@]}"
indexes=(inuse_space alloc_objects)
as_pprof all-heap "${heap[@]}"

# A mapping per file, wherever it lay.
pprof all-cpu -raw
[ "$(grep -c '/plugin_codec\.so' "$work/out")" -eq "$(grep '/plugin_codec\.so' "$work/out" | sort -u | wc -l)" ] ||
	fail "a file has two mappings"
[ "$(grep -c '^[0-9]*: .*/libc\.so\.6' "$work/out")" -eq 1 ] || fail "libc is there more than once"

# --- whose samples they were ---
(cd "$work" && "$tool" merge -q --by-profile -o by.pb.gz "${cpu[@]}") || fail "merge --by-profile"
pprof by -top -tagroot=profile -sample_index=samples -nodecount=0 -nodefraction=0
for file in "${cpu[@]}"; do
	name=${file##*/}
	name=${name%.pb.gz}
	cum=$(name=$name awk '$NF == ENVIRON["name"] { print $4 }' "$work/out")
	[ "${cum:-0}" -eq "$(total "$name")" ] || fail "$name has $cum of $(total "$name") samples in the sum"
done

# --- what does not fit ---
refused() { # STATUS REGEX ARGUMENT...
	rm -f "$work/none.pb.gz"
	status=$1
	regex=$2
	shift 2
	(cd "$work" && "$tool" merge "$@") >"$work/out" 2>"$work/err"
	got=$?
	[ $got -eq "$status" ] || fail "merge $*: status $got, not $status"
	[ "$(wc -l <"$work/err")" -eq 1 ] || fail "merge $*: says $(cat "$work/err")"
	grep -Eq "$regex" "$work/err" || fail "merge $*: says $(cat "$work/err")"
	[ -e "$work/none.pb.gz" ] && fail "merge $*: wrote something"
}
refused 1 'cannot add one.heap.pb.gz to two.pb.gz: .*inuse_space/bytes, .* samples/count, cpu/nanoseconds' \
	-o none.pb.gz two.pb.gz one.heap.pb.gz
refused 1 '/nonexistent' -o none.pb.gz one.pb.gz /nonexistent
echo "no profile" >"$work/text"
refused 1 'cannot use text' -o none.pb.gz one.pb.gz text
refused 2 'needs profiles' -o none.pb.gz
refused 2 'needs -o FILE' one.pb.gz
refused 2 'all-cpu.pb.gz is what is to be written' -o all-cpu.pb.gz one.pb.gz all-cpu.pb.gz
# Another rate is said: times add up all the same.
record_well slow -F 100 --cpu -- "$samples/host" -t 0.3 "$samples/plugin_codec.so"
(cd "$work" && "$tool" merge -o rates.pb.gz one.pb.gz slow.pb.gz) 2>"$work/err" || fail "two rates: status $?"
grep -q 'slow.pb.gz was sampled every 10000000 units, one.pb.gz every 1000000: ' "$work/err" ||
	fail "two rates: says $(cat "$work/err")"
finish
