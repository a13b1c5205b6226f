#!/bin/bash
# Labels that a Go program gives its goroutines with runtime/pprof are labels of its samples, of CPU time and
# of C's allocations: in Go, in C, in Go that C has called, in a plugin's C++, in a Go library of a C host.
# Goroutines take turns on a single thread, and each sample has the labels of the one that ran.
#
# GO_HOSTS=all: every way of building it, too.
. "${srcdir:-.}/tests/e2e/lib.sh"
need_go
# shellcheck source=tests/hosts/go_build.sh
. "$source_folder/tests/hosts/go_build.sh"

# samples_of NAME LABEL FUNCTION WANTED AT_LEAST: of those on whose stack FUNCTION (regex) is, all have WANTED
# as the value of LABEL (nothing, where it is empty), and there are AT_LEAST.
samples_of() {
	stacks "$1" "$2"
	wanted=$4 function=$3 awk -F'\t' -v least="$5" -v what="$1: $2 of $3" '
		$2 ~ ENVIRON["function"] { all += $1; if ($3 != ENVIRON["wanted"]) { wrong += $1; print } }
		END {
			printf "%s: %d samples, %d wrong\n", what, all, wrong
			exit !(all >= least && wrong == 0)
		}' "$work/stacks" || fail "$1: samples in $3 have $2 '$4', all of them"
}

labels_agree() {
	samples_of "$1" tenant 'main\.goRed$' red 20
	samples_of "$1" tenant '_cgo_[0-9a-f]+_Cfunc_c_red' red 20
	samples_of "$1" tenant '[cC]_red_calls_go > .* > main\.goRedCallback' red 10
	samples_of "$1" tenant '(main\.goBlue$|_Cfunc_c_blue$)' blue 20
	samples_of "$1" kind '(main\.goBlue$|_Cfunc_c_blue$)' batch 20
	samples_of "$1" tenant 'main\.goPlain$' '' 10
}

# On one thread, so that it is not the thread that has the label.
program_has_labels() {
	name=$1
	shift
	GOMAXPROCS=1 record_well "$name" --cpu -F 1000 "$@"
	labels_agree "$name"
}

allocations_have_labels() {
	record_well "$1" --heap --heap-interval=1 -- ./labels -n 20
	pprof "$1" -traces -sample_index=inuse_objects
	awk '/^-+\+-/ { if (keeps) { n += count; spans[span] += count; red += tenant == "red" ? count : 0 }
			keeps = 0; count = span = tenant = ""; next }
		$1 == "tenant:" { tenant = $2; next }
		$1 == "span:" { span = $2; next }
		/^ +[a-z]+:  / { next }
		count == "" && $1 ~ /^[0-9]+$/ { count = $1 }
		/ c_red_keep$/ { keeps = 1 }
		END {
			for (span in spans) if (spans[span] == 4) spans_of_four++
			printf "%d blocks of c_red_keep, %d red, %d spans\n", n, red, spans_of_four
			exit !(n == 20 && red == 20 && spans_of_four == 5)
		}' "$work/out" || fail "$1: twenty blocks of c_red_keep are red, four of each span"
}

# Twelve labels in the C++ of the plugin.  Outside of it there are twelve more, and a sample takes 16.
plugin_has_labels() {
	record_well "$1" --cpu -F 1000 -- ./labels -n 480 ./goplugin.so
	samples_of "$1" key00 'cxx_work > ' 0 5
	samples_of "$1" key11 'c_calls_go > .* > crosscall2 > ' 11 10
	pprof "$1" -comments
	has '^[0-9]+ samples lack labels: '
}

library_has_labels() {
	go_build "$2" '' shared || return
	record_well "$1" --cpu -F 1000 -- ./c_host ./shared.so 2000
	samples_of "$1" library 'main\.sharedLeaf$' shared 50
}

mapfile -t compilers < <(every_go)
for compiler in "${compilers[@]}"; do
	version=$("$compiler" version | sed 's/.* go\([0-9.]*\).*/go\1/')
	labels_build "$compiler" '-s -w'
	program_has_labels "$version-stripped" -- ./labels -n 800
	if [ "${GO_HOSTS:-}" = all ]; then
		labels_build "$compiler" '' -buildmode=pie
		program_has_labels "$version-pie" -- ./labels -n 800
		CGO_CFLAGS='-O2 -DTHREAD_LOCALS' labels_build "$compiler" ''
		program_has_labels "$version-locals" -- ./labels -n 800
		labels_build "$compiler" '' -race
		program_has_labels "$version-race" -- ./labels -n 800
		labels_build "$compiler" ''
		program_has_labels "$version-both" -- ./labels -n 800 -cpuprofile="$work/own.pb.gz"
		library_has_labels "$version-shared" "$compiler"
	fi
done

# With the one that tests use first.
labels_build "$go" ''
go_build "$go" '' program
allocations_have_labels heap
plugin_has_labels plugin
# A Go to come, which may keep them elsewhere.
LC_ALL=C sed 's/go1\.[0-9][0-9]\./go1.99./g' labels >later && chmod +x later
record_well later --cpu -F 1000 -- ./later -n 400
grep -q 'not seen: labels of goroutines: known are those of Go 1\.18 to 1\.26, not of go1\.99\.' later.err ||
	fail "no word about go1.99: $(cat later.err)"
samples_of later tenant 'main\.go(Red|Blue)$' '' 10
pprof later -comments
has '^not seen: labels of goroutines: .* not of go1\.99\.'
"$tool" doctor later >"$work/out"
has '^note +go-labels +labels of goroutines .* are not read: known are those of Go 1\.18 to 1\.26$'

record_well without --cpu -F 1000 --go-labels=off -- ./labels -n 400
samples_of without tenant 'main\.go(Red|Blue)$' '' 10
finish
