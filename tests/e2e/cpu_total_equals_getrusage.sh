#!/bin/bash
# The sum of a profile is the CPU time that getrusage reports, within 2 %, at 99, 250 and 1000 Hz
# with 1, 2 and 16 threads.
#
# The CPU time of each run is chosen so that 2 % is far from what sampling itself leaves open.  A
# thread's first tick is uniform in its first period P, so its sum is off by less than P, with a
# standard deviation of at most P / 2, and zero on average; a thread that ends loses no more than
# one tick of the kernel (10 ms at 100 Hz, 4 ms at 250 Hz).  With 1 and 2 threads 2 % is more than the
# sum of these bounds, always.  With 16 threads it is more than 16 times half a kernel tick plus
# 4.5 standard deviations (of P and tick together): one false failure in 150,000.
. "${srcdir:-.}/tests/e2e/lib.sh"
need_helper burn
need_go

# total_is_right FREQ THREADS MILLISECONDS-A-THREAD
total_is_right() {
	record_well "$1.$2" -F "$1" -- "$helpers/burn" "$2" "${3}000000" "$work/rusage"
	awk -v periods="$(total "$1.$2")" -v freq="$1" -v threads="$2" -v used="$(cat "$work/rusage")" 'BEGIN {
		sum = periods / freq
		used /= 1e9
		printf "%4d Hz, %2d threads: profile %.3f s, getrusage %.3f s, %+.2f %%\n",
			freq, threads, sum, used, 100 * (sum / used - 1)
		exit !(sum >= 0.98 * used && sum <= 1.02 * used)
	}' || fail "$1 Hz with $2 threads: off by more than 2 %"
}

total_is_right 99 1 1200
total_is_right 99 2 1200
total_is_right 99 16 600
total_is_right 250 1 800
total_is_right 250 2 800
total_is_right 250 16 400
total_is_right 1000 1 600
total_is_right 1000 2 600
total_is_right 1000 16 350

finish
