#!/bin/bash
# make demo-table: what becomes of a plugin's names, ours beside what the peers' own readers print of the
# same program in the same run.
#
#   PLUGPROF, SAMPLES, GO   as for the end-to-end tests
#   DEMO_CASES              words of: see cases.sh (default: all)
#
# A cell holds the functions of a plugin, or what stands for them, with at least 8 per cent: of CPU
# time, by leaf; for heaptrack, which counts allocations, of memory at its peak.  "-" is nothing at all;
# a peer that is not installed has no column.  Nothing is asserted here, plugins_keep_their_names.sh
# does that.
set -u
# shellcheck source=tests/e2e/lib.sh
. "${srcdir:-.}/tests/e2e/lib.sh"
need_samples
need_go
# shellcheck source=tests/demo/cases.sh
. "$source_folder/tests/demo/cases.sh"

library_of() { # NAME: the file of a shared library
	ldconfig -p | sed -n "s|.*$1.* => ||p" | head -n 1
}
gperftools=$(library_of libprofiler)
peers=
[ -z "$gperftools" ] || peers="gperftools"
if perf record -o "$work/perf.data" true >/dev/null 2>&1; then
	peers="$peers perf"
fi
if command -v heaptrack >/dev/null; then
	peers="$peers heaptrack"
fi

# Lines of "PER_CENT NAME" to one cell.
cell() {
	awk '
		$1 >= 8 {
			share = $1
			sub(/^[^ ]+ +/, "")
			line = line (line ? ", " : "") $0 sprintf(" %.0f%%", share)
			if (++count == 3)
				exit
		}
		END { print line ? line : "-" }'
}

top_of() { # PROFILE [PROGRAM]: by leaf, as stock pprof tells it
	"$go" tool pprof -top -nodefraction=0 "$@" 2>/dev/null |
		awk 'on { name = $6; for (i = 7; i <= NF; i++) if ($i != "(inline)") name = name " " $i
				sub(/%/, "", $2); print $2, name }
			$1 == "flat" { on = 1 }'
}

with_plugprof() {
	local options=()
	[ -z "$symbols" ] || options=(--raw)
	"$tool" record -q --spool="$spool" -F 1000 "${options[@]}" -o "$work/ours.pb.gz" -- "$@" >/dev/null 2>&1
	[ -z "$symbols" ] ||
		"$tool" symbolize -q --symbols="$symbols" -o "$work/ours.pb.gz" "$work/ours.pb.gz"
	top_of "$work/ours.pb.gz" | cell
}

with_gperftools() {
	rm -f "$work/gperftools.prof"*
	env LD_PRELOAD="$gperftools" CPUPROFILE="$work/gperftools.prof" CPUPROFILE_FREQUENCY=1000 \
		"$@" >/dev/null 2>&1
	if [ -s "$work/gperftools.prof" ]; then
		top_of "$1" "$work/gperftools.prof" | cell
	else
		echo "no profile"
	fi
}

with_perf() {
	rm -rf "$work/perf-cache" # it keeps files it has seen, as we do: none from another case
	perf --buildid-dir "$work/perf-cache" record -q -e cpu-clock:u -F 1000 -g \
		-o "$work/perf.data" -- "$@" >/dev/null 2>&1
	perf --buildid-dir "$work/perf-cache" report -i "$work/perf.data" --stdio --no-children -g none \
		--sort symbol 2>/dev/null |
		sed -n 's/^ *\([0-9.]*\)% *\[.\] \(.*[^ -]\)[ -]*$/\1 \2/p' | cell
}

with_heaptrack() {
	rm -f "$work/heaptrack".*
	heaptrack -o "$work/heaptrack" "$@" >/dev/null 2>&1
	set -- "$work/heaptrack".*
	[ -s "$1" ] || {
		echo "no profile"
		return
	}
	# "4.19M peak memory consumed over 65 calls from", and the innermost function in the next line.
	heaptrack_print -f "$1" -a 0 -T 0 -l 0 -p 1 -s 1 -n 3 2>/dev/null |
		awk 'wanted { sub(/^ */, ""); names[++count] = $0; wanted = 0 }
			/peak memory consumed over/ {
				size = $1 * ($1 ~ /K$/ ? 1000 : $1 ~ /M$/ ? 1000000 : 1)
				sizes[count + 1] = size
				total += size
				wanted = 1
			}
			END {
				for (i = 1; i <= count && total; i++)
					print 100 * sizes[i] / total, names[i]
			}' | cell
}

row() {
	local profiler cells=()
	rm -rf "$PLUGPROF_SYMBOLS"
	for profiler in plugprof $peers; do
		rm -rf "$work/case"
		mkdir "$work/case" && cd "$work/case" || exit 99
		begin_case
		"case_$1"
		# shellcheck disable=SC2163,SC2086 # the words of the case
		cells+=("$(
			[ -z "$environment" ] || export $environment
			"with_$profiler" "${command[@]}" 2>/dev/null
		)")
	done
	printf '| %s ' "$title" "${cells[@]}"
	echo '|'
}

# shellcheck disable=SC2086 # words
printf '| %s ' "what happens to the plugin" plugprof $peers
echo '|'
printf '|---'
# shellcheck disable=SC2086
printf '|---%.0s' plugprof $peers
echo '|'
for one in ${DEMO_CASES:-$cases}; do
	row "$one"
done
