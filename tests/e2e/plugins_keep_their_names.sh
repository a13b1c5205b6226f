#!/bin/bash
# Whatever becomes of a plugin (deleted, replaced, closed, loaded again at the same place or elsewhere),
# every sample of it has the name, file and line of the build that ran: the cases of tests/demo.
. "${srcdir:-.}/tests/e2e/lib.sh"
need_samples
need_go
for tool_of_case in objcopy strip readelf; do
	command -v $tool_of_case >/dev/null || skip "no $tool_of_case"
done
# shellcheck source=tests/demo/cases.sh
. "$source_folder/tests/demo/cases.sh"

# flat FILE SAMPLE_TYPE: lines of PER_CENT FUNCTION, as stock pprof tells them.
flat() {
	"$go" tool pprof -top -flat -nodefraction=0 "-sample_index=$2" "$1" 2>"$work/err" |
		awk 'on { name = $6; for (i = 7; i <= NF; i++) if ($i != "(inline)") name = name " " $i
				sub(/%/, "", $2); print $2, name }
			$1 == "flat" { on = 1 }'
}

# near CASE "PER_CENT FUNCTION" LINES: the functions that match have that share, nearly.  Generous:
# this is about names.
near() {
	awk -v wanted="${2%% *}" -v name="${2#* }" -v case="$1" '
		{ share = $1; sub(/^[^ ]+ /, ""); if ($0 ~ "^(" name ")$") sum += share }
		END {
			if (sum < wanted - 14 || sum > wanted + 14) {
				printf "FAIL: %s: %s has %.1f %%, not %s\n", case, name, sum, wanted
				exit 1
			}
		}' <<<"$3" && return
	failures=$((failures + 1))
	head -n 8 <<<"$3"
}

# No frame without a name, no code that belongs to nobody, no stack that ends before its root.
check_stacks() {
	local bad='\?\?|<unknown>|\[truncated|\[anon-rx\]|\.so!'
	case $1 in
	stripped) bad='\?\?|<unknown>|\[truncated|\[anon-rx\]|\.so!0x' ;;
	jit) bad='\?\?|<unknown>|\[truncated|\.so!' ;;
	esac
	stacks "$1"
	if grep -E "$bad" "$work/stacks"; then
		fail "$1: a frame that is no name"
	fi
}

run_case() {
	local options=() profile=$work/$1.pb.gz status=0 wanted
	mkdir "$work/$1" && cd "$work/$1" || exit 99
	begin_case
	"case_$1"
	[ -z "$symbols" ] || options=(--raw)
	rm -rf "$PLUGPROF_SYMBOLS" # what an earlier case has left must not help
	# shellcheck disable=SC2086 # words
	env $environment PLUGPROF=heap=4k "$tool" record --spool="$spool" -F 1000 "${options[@]}" -o "$profile" \
		-- "${command[@]}" >"$work/out" 2>"$work/$1.err" || status=$?
	case $1 in
	killed) [ $status -eq 137 ] || fail "$1: status $status" ;;
	*) [ $status -eq 0 ] || fail "$1: status $status: $(cat "$work/$1.err")" ;;
	esac
	[ -s "$work/out" ] && [ "$1" != thrown_through ] && fail "$1: prints $(head -n 3 "$work/out")"
	for kind in "" .heap; do
		[ -n "$symbols" ] || continue
		"$tool" symbolize -q --symbols="$symbols" -o "$work/named" "$work/$1$kind.pb.gz" ||
			fail "$1: symbolize: status $?"
		mv "$work/named" "$work/$1$kind.pb.gz"
	done
	while read -r wanted; do
		near "$1" "$wanted" "$(flat "$profile" samples)"
	done <<<"$shows"
	if [ -n "$holds" ]; then
		near "$1, memory" "$holds" "$(flat "$work/$1.heap.pb.gz" inuse_space)"
	fi
	if [ -n "$verdict" ]; then
		"$tool" inspect "$profile" >"$work/verdicts"
		grep -E "plugin(\.so)?: " "$work/verdicts" | grep -Eq "$verdict" || {
			fail "$1: no verdict like: $verdict"
			cat "$work/verdicts"
		}
	fi
	stacks "$1"
	check_stacks "$1"
	cd "$work" || exit 99
}

for one in $cases; do
	run_case "$one"
done

# What the sample has left for us to read.
pid=$("$go" tool pprof -raw "$work/jit_with_map.pb.gz" | sed -n 's/.*: pid \([0-9]*\),.*/\1/p')
rm -f "/tmp/perf-$pid.map"

# mappings CASE: how many there are of the plugin; lives CASE: what is told of its lives.
mappings() {
	"$go" tool pprof -raw "$work/$1.pb.gz" | grep -c "^[0-9]*: 0x[0-9a-f]*/0x.*/plugin.so "
}
[ "$(mappings replaced)" -eq 2 ] || fail "replaced: not two mappings"
[ "$(mappings reloaded)" -eq 2 ] || fail "reloaded: not two mappings"
[ "$(mappings no_build_id_replaced)" -eq 2 ] || fail "no_build_id_replaced: not two mappings"
[ "$(mappings loaded_often)" -eq 1 ] || fail "loaded_often: not one mapping"
"$go" tool pprof -raw "$work/loaded_often.pb.gz" |
	awk -F '\t' '$1 == "Comment: #plugprof life" && $3 ~ /plugin.so$/ { print $6, $7, $8 }' |
	grep -qx '1000 1000 0' ||
	fail "loaded_often: not loaded and unloaded 1000 times"

# Each build's samples are under its own build-ID, and its own functions are in it.
"$go" tool pprof -raw "$work/reloaded.pb.gz" | awk '
	/^[0-9]+: 0x[0-9a-f]+\/0x/ { id[$1 + 0] = $4 }
	/^ +[0-9]+: 0x[0-9a-f]+ M=[0-9]+ (alpha|beta)_/ {
		split($3, m, "=")
		split($4, name, "_")
		ids[NR] = m[2]
		builds[NR] = name[1]
	}
	END { for (i in ids) print builds[i], id[ids[i]] }' | sort -u >"$work/builds"
for build in alpha beta; do
	grep -qx "$build $(build_id_of "$samples/reload_$build.so")" "$work/builds" || {
		fail "reloaded: $build is not under its build-ID"
		cat "$work/builds"
	}
done
[ "$(wc -l <"$work/builds")" -eq 2 ] || fail "reloaded: a function in two builds"

# What such plugins allocate is not seen, and that is said.
for one in namespace deepbind; do
	grep -Eq '^plugprof: not seen: what plugin.so allocates and frees: opened with RTLD_DEEPBIND ' \
		"$work/$one.err" || fail "$one: record does not say that allocations are not seen"
done
grep 'not seen' "$work/debug_info.err" && fail "debug_info: says that allocations are not seen"

# With --generations each load of the path has a label of its own; without there is none.
mkdir "$work/generations" && cd "$work/generations" || exit 99
begin_case
case_reloaded
record_well generations --generations -F 1000 -- "${command[@]}"
for kind in "" .heap; do
	pprof "generations$kind" -tags
	has '^ +generation: '
	has ': #1$'
	has ': #2$'
	has_not ': #3$'
done
pprof generations -top -flat '-tagfocus=generation=#1'
has ' alpha_step \(inline\)$'
has_not 'beta_'
pprof generations -top -flat '-tagfocus=generation=#2'
has ' beta_step \(inline\)$'
has_not 'alpha_'
pprof reloaded -tags
has_not '^ +generation: '
finish
