# shellcheck shell=bash
# What the end-to-end tests share; sourced by each of them first.
#
#   PLUGPROF   the tool (default ./plugprof)
#   AGENT      libplugprof.so (default .libs/libplugprof.so)
#   SAMPLES    folder of the built samples (default samples)
#   GO         the go command (default: what is found); empty: none
#   srcdir, builddir, CC
#
# A test works in $work, keeps its spools in $spool, calls fail as often as it
# likes, and ends with: finish
set -u

absolute() {
	case $1 in
	/*) printf '%s' "$1" ;;
	*) printf '%s/%s' "$PWD" "$1" ;;
	esac
}

tool=$(absolute "${PLUGPROF:-./plugprof}")
agent=$(absolute "${AGENT:-.libs/libplugprof.so}")
samples=$(absolute "${SAMPLES:-samples}")
helpers=$(absolute "${builddir:-.}/tests/e2e")
go=${GO-$(command -v go || echo /usr/local/go/bin/go)}
# shellcheck disable=SC2034 # for the tests
{
	source_folder=$(absolute "${srcdir:-.}")
	cc=${CC:-cc}
}
# To the tool and to the agent that variable means their settings.
unset PLUGPROF LD_PRELOAD XDG_RUNTIME_DIR
# Nothing of the user's own settings, and no network.
unset DEBUGINFOD_URLS PPROF_BINARY_PATH
export TZ=UTC LC_ALL=C
ulimit -c 0

work=$(mktemp -d "${TMPDIR:-/tmp}/plugprof-e2e.XXXXXX") || exit 99
# As in real life, on tmpfs where there is one.
spool=$(mktemp -d /dev/shm/plugprof-e2e.XXXXXX 2>/dev/null) || spool=$work/spool
mkdir -p "$spool" "$work/pprof"
export PPROF_TMPDIR="$work/pprof"
# Kept files, too.
export PLUGPROF_SYMBOLS="$work/store"
export XDG_CONFIG_HOME="$work/config"
failures=0

clean_up() {
	rm -rf "$work" "$spool"
}
trap clean_up EXIT
trap 'exit 99' HUP INT TERM

fail() {
	echo "FAIL: $*"
	failures=$((failures + 1))
}

skip() {
	echo "skipped: $*"
	exit 77
}

finish() {
	[ "$failures" -eq 0 ] || echo "$failures failures"
	[ "$failures" -eq 0 ]
	exit
}

need_samples() {
	[ -x "$samples/host" ] || skip "no samples in $samples; build them with samples/build.sh"
}

need_helper() {
	[ -x "$helpers/$1" ] || skip "no helper program $helpers/$1"
}

need_go() {
	if [ -z "$go" ] || ! "$go" version >/dev/null 2>&1; then
		skip "go is not installed, so no go tool pprof"
	fi
	"$go" tool pprof -h 2>&1 | grep -q tagroot || skip "this go has no pprof, or an old one"
}

# The host's plugins as arguments: plugins codec nofp ...
plugins() {
	for one; do
		printf '%s\n' "$samples/plugin_$one.so"
	done
}

# wait_no_longer_than SECONDS COMMAND...: its status, 124 if it hangs.
wait_no_longer_than() {
	timeout -k 5 "$@"
}

# record NAME OPTION... -- PROGRAM...: profile $work/NAME.pb.gz, stdout NAME.out, what came on
# stderr NAME.err; the status is the program's.
record() {
	name=$1
	shift
	wait_no_longer_than 100 "$tool" record --spool="$spool" -o "$work/$name.pb.gz" "$@" \
		>"$work/$name.out" 2>"$work/$name.err"
}

# record_well: record a program that ends with status 0; the summary has six lines at most.
record_well() {
	record "$@" || fail "record $*: status $?: $(cat "$work/$1.err")"
	[ "$(wc -l <"$work/$1.err")" -le 6 ] || fail "record $1: more than six lines on stderr"
	[ -s "$work/$1.pb.gz" ] || fail "record $1: no profile"
}

# preload SETTINGS PROGRAM...: run it with the agent alone; everything of ours is in $spool.
preload() {
	settings=$1
	shift
	wait_no_longer_than 100 env LD_PRELOAD="$agent" PLUGPROF="spool=$spool,$settings" "$@"
}

# pprof NAME OPTION...: stock pprof's output in $work/out; it may say nothing on stderr.
pprof() {
	file=$1
	shift
	"$go" tool pprof "$@" "$work/$file.pb.gz" >"$work/out" 2>"$work/err" ||
		fail "pprof $* $file: status $?"
	[ -s "$work/err" ] && fail "pprof $* $file says: $(cat "$work/err")"
}

# has REGEX: a line of $work/out matches.
has() {
	grep -Eq -- "$1" "$work/out" || {
		fail "no line matches: $1"
		head -n 25 "$work/out"
	}
}

has_not() {
	if grep -E -- "$1" "$work/out"; then
		fail "a line matches: $1"
	fi
}

# total NAME: periods (samples/count) in the profile; 0 if there is none.
total() {
	[ -s "$work/$1.pb.gz" ] || {
		echo 0
		return
	}
	"$go" tool pprof -raw "$work/$1.pb.gz" 2>/dev/null |
		awk '/^Samples:/ { on = 1; next } /^Locations/ { on = 0 }
			on && $1 ~ /^[0-9]+$/ { sum += $1 } END { print sum + 0 }'
}

# stacks NAME [LABEL]: in $work/stacks, a line per stack: its count, then its functions, root first,
# joined by " > "; then the value of its LABEL.
stacks() {
	pprof "$1" -traces -sample_index=samples
	awk -v label="${2:+$2:}" '
		function flush() {
			if (chain != "")
				print count "\t" chain (label != "" ? "\t" value : "")
			chain = value = ""
		}
		/^-+\+-/ { flush(); on = 1; first = 1; next }
		on && label != "" && $1 == label { value = $2; next }
		!on || /^ +[a-z0-9_]+:  / { next }
		{
			line = $0
			if (first) {
				sub(/^ +/, "", line)
				count = line
				sub(/ .*/, "", count)
				sub(/^[^ ]+ +/, "", line)
				first = 0
			} else
				sub(/^ +/, "", line)
			sub(/ \(inline\)$/, "", line)
			chain = chain == "" ? line : line " > " chain
		}
		END { flush() }' "$work/out" >"$work/stacks"
}

# has_stack PROFILE REGEX: PROFILE.pb.gz is there, and has a stack of that kind, as stacks() writes it.
has_stack() {
	[ -s "$1.pb.gz" ] || {
		fail "${name:+$name: }no profile $1.pb.gz"
		return
	}
	stacks "$1"
	grep -q "$2" "$work/stacks" || fail "${name:+$name: }no $2 in $1.pb.gz: $(head -n 3 "$work/stacks")"
}

# share_of REGEX: the part, 0 to 1, that stacks matching REGEX have of $work/stacks, without the
# samples' jitter (samples/README.md).
share_of() {
	re=$1 awk -F'\t' '$2 ~ /> work_jitter( |$)/ { next } { all += $1 } $2 ~ ENVIRON["re"] { part += $1 }
		END { printf "%.5f\n", all ? part / all : 0 }' "$work/stacks"
}

# signals NAME: how many signals the profile's periods came with (work_jitter's left out): fewer
# than periods where the kernel looks at timers less often than asked (a signal then stands for
# several).  What part that is is measured once, in the spool of a host that was killed.
part_of_periods=""
counted=""
signals() {
	if [ -z "$part_of_periods" ]; then
		rm -rf "$work/measure"
		mkdir "$work/measure"
		(LD_PRELOAD=$agent PLUGPROF="freq=1000,spool=$work/measure" \
			"$samples/host" -n 0 -t 0.4 --exit=kill "$samples/plugin_codec.so"; true) >/dev/null 2>&1
		part_of_periods=$("$helpers/spool_counters" "$work/measure"/*.spool | awk '{ print $9 / $7 }')
	fi
	awk -v part="$part_of_periods" '!/> work_jitter( |$)/ { sum += $1 } END { print int(part * sum) }' \
		"$work/stacks"
}

# share_is NAME REGEX EXPECTED [EXTRA]: the share of stacks matching REGEX ($work/stacks, of NAME) is
# EXPECTED.
#
# The bound is 4.5 standard deviations of a binomial share of n signals: one false failure in
# 150,000.  n is reduced by a tenth because the weights of samples differ (a late tick stands for
# more periods).  To this comes what samples/README.md does not list: EXTRA (2 %) of the share.
# Binomial means independent: WORK_JITTER (samples/work.h) keeps the samples out of step with
# the kernel's ticks.
share_is() {
	[ "$counted" = "$1" ] || counted_signals=$(signals "$1")
	counted=$1
	got=$(share_of "$2")
	awk -v n="$counted_signals" -v got="$got" -v p="$3" -v extra="${4:-0.02}" -v what="$1: ${2##*> }" 'BEGIN {
		bound = 4.5 * sqrt(p * (1 - p) / (0.9 * n)) + 0.002 + extra * p
		deviation = got > p ? got - p : p - got
		printf "%-50s %.4f, expected %.4f +- %.4f of %d\n", what, got, p, bound, n
		exit !(n > 0 && deviation <= bound)
	}' || fail "$1: $2 has $got, expected $3"
}

# Threads begin at clone, the program at _start, constructors at the loader's.
# shellcheck disable=SC2034 # for the tests
any_root='_start|_dl_start_user|clone3?'

# every_stack_is_whole NAME ROOT: each begins with ROOT (regex); no unknown or raw name, no
# remark, nothing of ours.  In $work/stacks.
#
# One stack is let through: constructors are called by ld.so's _dl_start_user, which has neither a symbol
# nor unwind info, and is the root there.
every_stack_is_whole() {
	sed -i '/\tld-linux-x86-64\.so\.2![^ ]* > _dl_init > /d' "$work/stacks"
	grep -Pv "^[0-9]+\t($2)( > |\$)" "$work/stacks" && fail "$1: a stack does not begin at its root"
	grep -F '??' "$work/stacks" && fail "$1: a frame without a name"
	# What no symbol and no FDE covers is LIBRARY!0xADDRESS: .init of the system's own, stripped
	# libraries; nothing in the samples.
	grep -E '(^|[ 	])(0x[0-9a-f]+|[^ ]*!0x[0-9a-f]+)( |$)' "$work/stacks" |
		grep -Ev '_dl_init > (call_init > )+lib(gcc_s|stdc\+\+)\.so\.[0-9]+!0x[0-9a-f]+$' &&
		fail "$1: a frame is a raw address"
	grep -F '[truncated' "$work/stacks" && fail "$1: a stack is truncated"
	grep -F '[unknown' "$work/stacks" && fail "$1: a frame is unknown"
	grep -Ei 'plugprof\.so|cpu_sampler|begin_thread|agent_|hooks_' "$work/stacks" &&
		fail "$1: a frame of ours"
	"$go" tool pprof -raw "$work/$1.pb.gz" 2>/dev/null |
		grep -v '^Comment:' | grep -F libplugprof && fail "$1: a mapping of ours"
	[ -s "$work/stacks" ] || fail "$1: no stacks"
}
