#!/bin/bash
# Real programs with real plugins, {CPU, heap, both} x {glibc's allocator, jemalloc, tcmalloc}: they
# print and return what they do without us; they see no descriptor, thread or child of ours; the
# profile is sound; 99 % of the samples are named down to a root; and the plugin's own functions are hot.
#
#   HOSTS        programs of tests/hosts/programs.sh (default: all)
#   MODES        of "cpu heap both"
#   ALLOCATORS   of "glibc jemalloc tcmalloc"
#
# A table on stdout: a row per program, a column per mode and allocator.
. "${srcdir:-.}/tests/e2e/lib.sh"
need_go
need_samples
plugins=$source_folder/tests/hosts/plugins
# shellcheck source=tests/hosts/programs.sh
. "$source_folder/tests/hosts/programs.sh"

"$cc" -O2 -fPIC -shared -o "$work/witness.so" "$source_folder/tests/hosts/witness.c" || exit 99
chmod 755 "$work" "$spool"

# preload_of ALLOCATOR: the path of its library; nothing for glibc's.
preload_of() {
	case $1 in
	glibc) ;;
	jemalloc) ls /usr/lib/*/libjemalloc.so.2 2>/dev/null ;;
	tcmalloc) ls /usr/lib/*/libtcmalloc_minimal.so.4 2>/dev/null ;;
	esac
}

settings_of() {
	case $1 in
	cpu) echo freq=1000,heap=off ;;
	heap) echo cpu=off,heap=64k ;;
	both) echo freq=1000,heap=64k ;;
	esac
}

# run_one NAME FOLDER PREFIX...: in FOLDER: out, err, status, witness.
run_one() {
	name=$1 folder=$2
	shift 2
	mkdir -p "$folder"
	: >"$folder/witness"
	chmod 666 "$folder/witness"
	("run_$name" env WITNESS="$folder/witness" "$@") >"$folder/out" 2>"$folder/err"
	echo $? >"$folder/status"
	if declare -F "filter_$name" >/dev/null; then
		sed -i "$("filter_$name")" "$folder/out" "$folder/err" "$folder/witness"
	fi
	sort -u -o "$folder/witness" "$folder/witness"
}

# problem TEXT: of this cell.
problem() {
	echo "  $cell: $*" >>"$work/problems"
	bad=BAD
}

# same FILE: with us as without.
same() {
	cmp -s "$alone/$1" "$with/$1" ||
		problem "$1 differs: $(diff "$alone/$1" "$with/$1" | head -n 4 | cut -c1-150 | tr '\n' '|')"
}

check_names() {
	# A stripped program's _start has no name.
	local root="$any_root|[^ ]*!fn_[0-9a-f]* > __libc_start_main.*|runtime\\..*"
	local least="least_$name" jit="jit_$name" assembly="assembly_$name" files=("$with"/*.cpu.pb.gz)
	"$tool" merge -o "$work/merged.pb.gz" "${files[@]}" >"$work/out" 2>&1 ||
		problem "merge: $(cat "$work/out")"
	stacks merged
	result=$(root="^($root)( >|\$)" jit="${!jit:-}" assembly="${!assembly:-}" awk -F'\t' '
		{ all += $1 }
		/\[truncated|\[unknown|\?\?|(\t|> )0x/ || $2 !~ ENVIRON["root"] ||
			(/!0x/ && ENVIRON["assembly"] == "") || (/\[anon-rx\]/ && ENVIRON["jit"] == "") {
				bad += $1
				if ($1 > worst) { worst = $1; line = $2 }
		}
		END { printf "%.4f %d %s\n", all ? 1 - bad / all : 0, all, line }' "$work/stacks")
	read -r named samples_seen worst <<<"$result"
	awk -v named="$named" -v least="${!least:-0.99}" 'BEGIN { exit !(named >= least) }' ||
		problem "$named of $samples_seen samples are named to a root; not: ${worst:0:300}"
	[ "$samples_seen" -ge 30 ] || problem "only $samples_seen samples"
	if declare -F "hot_$name" >/dev/null; then
		read -r function least <<<"$("hot_$name")"
		got=$(share_of "$function")
		awk -v got="$got" -v least="$least" 'BEGIN { exit !(got >= least) }' ||
			problem "$function has $got of the samples, not $least"
	fi
}

check_cell() {
	local alone=$work/$name.$allocator.alone with=$work/with heapless="heapless_$name"
	[ -d "$alone" ] || run_one "$name" "$alone" LD_PRELOAD="$library:$work/witness.so"
	if [ "$(cat "$alone/status")" -ge 128 ]; then
		named="crashes alone"
		return
	fi
	rm -rf "$with"
	rm -rf "$spool/cell"
	mkdir -p "$with" "$spool/cell"
	chmod 777 "$with" "$spool/cell" # some programs change their user
	run_one "$name" "$with" LD_PRELOAD="$agent:$library:$work/witness.so" PLUGPROF_SYMBOLS="$PLUGPROF_SYMBOLS" \
		PLUGPROF="spool=$spool/cell/s,file=$with/%e.%p.%n.cpu.pb.gz,$(settings_of "$mode")"
	for file in out err status witness; do
		same $file
	done
	# Killed, or ended by a bare system call: their spools are still there.
	"$tool" recover --spool="$spool/cell/s" >"$work/out" 2>&1
	for file in "$with"/*.pb.gz; do
		[ -e "$file" ] || continue # what is missing is told below
		"$tool" check "$file" >"$work/out" 2>&1 || problem "${file##*/}: $(head -n 2 "$work/out" | tr '\n' ' ')"
	done
	case $mode in
	cpu | both) check_names ;;
	esac
	case $mode in
	heap | both) [ -n "${!heapless:-}" ] || ls "$with"/*.heap.pb.gz >/dev/null 2>&1 || problem "no heap profile" ;;
	esac
}

cells=""
for mode in ${MODES:-cpu heap both}; do
	for allocator in ${ALLOCATORS:-glibc jemalloc tcmalloc}; do
		cells="$cells $mode-$allocator"
	done
done
# shellcheck disable=SC2086 # words
printf '%-11s' "" && printf '%-16s' $cells && echo
for name in ${HOSTS:-$all_programs}; do
	mkdir -p "$work/at.$name"
	chmod 755 "$work/at.$name"
	cd "$work/at.$name" || exit 99
	if ! reason=$("prepare_$name"); then
		printf '%-11s skipped: %s\n' "$name" "$reason"
		continue
	fi
	printf '%-11s' "$name"
	for cell in $cells; do
		mode=${cell%-*} allocator=${cell#*-} bad=
		library=$(preload_of "$allocator")
		if [ "$allocator" != glibc ] && [ -z "$library" ]; then
			printf '%-16s' "-"
			continue
		fi
		named=- cell="$name $cell"
		check_cell
		printf '%-16s' "${bad:-ok} $named"
		[ -z "$bad" ] || failures=$((failures + 1))
	done
	echo
	cd "$work" || exit 99
	rm -rf "$work/at.$name" "$work/$name".*
done
[ -s "$work/problems" ] && cat "$work/problems"
finish
