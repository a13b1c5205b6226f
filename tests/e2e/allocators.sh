# shellcheck shell=bash disable=SC2154 # lib.sh has them
# Other allocators, and programs that tell what they allocate; sourced behind lib.sh.

one_of() {
	for file; do
		[ -e "$file" ] && echo "$file" && return
	done
}
# Empty: not installed.
# shellcheck disable=SC2034 # for the tests
{
	jemalloc=$(one_of /usr/lib/*/libjemalloc.so.2 /usr/lib/libjemalloc.so.2)
	tcmalloc=$(one_of /usr/lib/*/libtcmalloc_minimal.so.4 /usr/lib/libtcmalloc_minimal.so.4)
}

# runs_the_same BEFORE BEHIND PROGRAM...: with and without us between the libraries; its profile is
# $work/run.pb.gz, what the tool says $work/said.  $more: further settings.
more=
runs_the_same() {
	local before=$1 behind=$2 status
	shift 2
	LD_PRELOAD="$before $behind" "$@" >plain.out 2>plain.err
	status=$?
	rm -f run.pb.gz
	LD_PRELOAD="$before $agent $behind" PLUGPROF="cpu=off,heap=1,verbose,spool=$spool,file=$work/run.pb.gz,$more" \
		"$@" >agent.out 2>agent.err
	[ $? = $status ] || fail "$before us $behind: $*: another status than $status"
	cmp -s plain.out agent.out || fail "$before us $behind: $*: another output"
	grep '^plugprof: ' agent.err >said
	grep -v '^plugprof: ' agent.err | cmp -s - plain.err || fail "$before us $behind: $*: says $(cat agent.err)"
}
said() {
	grep -Eq "$1" said || fail "$2: it is not said that $1: $(cat said)"
}

# as_told NAME TRUTH: the profile NAME.pb.gz says of each function what TRUTH does, a line for each: its
# name, objects and bytes allocated, objects and bytes in use.
as_told() {
	local column=1
	[ -n "$go" ] || return 0
	for index in alloc_objects alloc_space inuse_objects inuse_space; do
		column=$((column + 1))
		pprof "$1" -top -nodefraction=0 -nodecount=100000 -sample_index=$index -unit=B
		awk -v column=$column '
			NR == FNR { truth[$1] = $column; next }
			/flat%/ { on = 1; next }
			on { got[$6] = $4 + 0 }
			END {
				for (name in truth)
					if (truth[name] != got[name] + 0) {
						print name, "has", got[name] + 0, "not", truth[name]
						bad = 1
					}
				exit bad
			}' "$2" "$work/out" || fail "$1${3:+, $3}: $index is not as the program says"
	done
}
