#!/bin/bash
# Programs in situations that break profilers (README.md has the list): each prints, and ends, as without
# the agent, says nothing more, and where something can be sampled its profile has it.
#
#   PROBE_THREADS   how many threads many_short_threads starts (default 5000; the long form is 1000000)
. "${srcdir:-.}/tests/e2e/lib.sh"
need_go
probes=$helpers/../faults
for theme in stacks processes limits; do
	[ -x "$probes/probes_$theme" ] || skip "no $probes/probes_$theme"
done
mkdir "$work/profiles" "$work/plain" "$work/agent"

# probe THEME NAME: the same with and without the agent.
probe() {
	theme=$1
	name=$2
	{
		(cd "$work/plain" && timeout -k 5 60 "$probes/probes_$theme" "$name") >"$work/plain.out" 2>&1
		echo "status $?" >>"$work/plain.out"
	} 2>/dev/null &
	{
		(cd "$work/agent" && timeout -k 5 60 env "${preload:-LD_PRELOAD}=$agent" \
			PLUGPROF="spool=$spool,freq=1000,heap=64k,file=$work/profiles/$name.%p.pb.gz" \
			"$probes/probes_$theme" "$name") >"$work/agent.out" 2>&1
		echo "status $?" >>"$work/agent.out"
		wait
	} 2>/dev/null # bash tells of whom a signal ended
	cmp -s "$work/plain.out" "$work/agent.out" || {
		fail "$name: not as without the agent"
		diff "$work/plain.out" "$work/agent.out" | head -n 8
	}
	grep -q '^status \(2\|12[4-7]\)$' "$work/plain.out" && fail "$name: $(cat "$work/plain.out")"
	[ -z "$(ls -A "$work/agent")" ] || fail "$name: left $(ls -A "$work/agent")"
	# Who was killed, or became another program, leaves a spool.
	"$tool" recover -q --spool="$spool" -o "$work/profiles/$name.%p.pb.gz" 2>"$work/err" ||
		fail "$name: recover: $(cat "$work/err")"
	[ -z "$(ls "$spool")" ] || fail "$name: left in the spool folder: $(ls "$spool")"
}

for name in smallest_stack smallest_signal_stack deep_recursion deep_recursion_in_a_thread \
	overflow_that_is_handled garbage_in_the_frame_pointer another_stack_pointer generated_code \
	long_jumps context_switches; do
	probe stacks $name
done
for name in prefork_server raw_fork clone_without_memory fork_storm fork_of_a_large_process \
	fork_handlers_run_once all_descriptors_closed privileges_dropped root_folder_changed \
	working_folder_removed waits_are_not_interrupted own_profiling_timer \
	exec_with_an_empty_environment; do
	probe processes $name
done
# Its parent, which has no agent, blocks and ignores all real-time signals.
preload=PROBE_PRELOAD
probe processes signals_blocked_and_ignored
preload=
for name in little_address_space no_descriptors no_locked_memory small_files no_pending_signals \
	little_cpu_time no_timers_from_the_start calls_refused calls_trapped calls_that_kill \
	calls_that_kill_a_worker ten_thousand_threads many_short_threads main_thread_ends_first \
	cancelled_threads; do
	probe limits $name
done

# --- what must be in their profiles: one look at all of them ---
for file in "$work/profiles"/*.pb.gz; do
	# NAME.PID.pb.gz; what merge takes for its name ends at .pb.
	name=${file##*/}
	case $file in
	*.heap.pb.gz) rm "$file" ;;
	*) mv "$file" "$work/profiles/${name%%.*}.pb.$RANDOM$RANDOM.gz" ;;
	esac
done
"$tool" merge -q --by-profile -o "$work/all.pb.gz" "$work/profiles"/*.gz || fail "merge: status $?"
"$tool" check -q "$work/all.pb.gz" || fail "not a good profile"
stacks all profile

# sampled NAME PERIODS REGEX: at least so many have such a stack, which is far from all there are:
# a thread of a busy machine may go on for long after its last tick.
sampled() {
	got=$(name=$1 re=$3 awk -F'\t' '$3 == ENVIRON["name"] && $2 ~ ENVIRON["re"] { sum += $1 }
		END { print sum + 0 }' "$work/stacks")
	[ "$got" -ge "$2" ] || {
		fail "$1: $got of $2 periods with $3"
		name=$1 awk -F'\t' '$3 == ENVIRON["name"]' "$work/stacks" | cut -c1-300 | head -n 5
	}
}
main='^_start > .*'
sampled smallest_stack 10 'start_thread > burn_on_little > probe_burn$'
sampled smallest_signal_stack 10 "${main}smallest_signal_stack > .*burn_in_handler > probe_burn\$"
middle='recurse_deeply > \[\.\.\. frames left out\] > recurse_deeply > .*recurse_deeply > probe_burn$'
sampled deep_recursion 30 "${main}deep_recursion > .*$middle"
sampled deep_recursion_in_a_thread 30 "start_thread > recurse_in_thread > .*$middle"
sampled overflow_that_is_handled 4 "${main}overflow_that_is_handled > probe_burn\$"
sampled garbage_in_the_frame_pointer 6 'burn_with_garbage$'
sampled another_stack_pointer 4 'burn_with_another_rsp$'
sampled generated_code 4 '\[anon-rx\]$'
sampled long_jumps 4 "${main}long_jumps > probe_burn\$"
sampled context_switches 16 'fiber > probe_burn$'
sampled prefork_server 40 'prefork_server > work > probe_burn$'
sampled raw_fork 2 "${main}raw_fork > probe_burn\$"
sampled fork_storm 8 "${main}fork_storm > probe_burn\$"
sampled fork_of_a_large_process 2 "${main}fork_of_a_large_process > probe_burn\$"
sampled all_descriptors_closed 12 "${main}all_descriptors_closed > probe_burn\$"
sampled privileges_dropped 10 "${main}privileges_dropped > probe_burn\$"
sampled root_folder_changed 10 "${main}root_folder_changed > probe_burn\$"
sampled working_folder_removed 2 "${main}working_folder_removed > probe_burn\$"
sampled signals_blocked_and_ignored 2 "${main}blocked_and_ignored > probe_burn\$"
sampled own_profiling_timer 40 "${main}own_profiling_timer > probe_burn\$"
sampled exec_with_an_empty_environment 2 "${main}exec_with_an_empty_environment > probe_burn\$"
sampled little_address_space 2 "${main}work > probe_burn\$"
sampled no_locked_memory 2 'work > probe_burn$'
sampled calls_refused 3 "${main}calls_refused > probe_burn\$"
sampled calls_trapped 80 "${main}calls_trapped > probe_burn\$"
sampled calls_that_kill 80 "${main}calls_that_kill > probe_burn\$"
sampled calls_that_kill_a_worker 10 "${main}calls_that_kill_a_worker > probe_burn\$"
sampled ten_thousand_threads 8 "${main}ten_thousand_threads > probe_burn\$"
sampled many_short_threads 2 "${main}many_short_threads > probe_burn\$"
sampled main_thread_ends_first 10 'start_thread > outlive > probe_burn$'
finish
