#!/bin/bash
# Sampled at the default interval, what call sites of many sizes have allocated, and hold, is right
# within sampling error, for bytes and objects: blocks of 16 bytes to 10 MiB, eight threads, freed by
# others.
. "${srcdir:-.}/tests/e2e/lib.sh"
need_helper allocate
need_go
cd "$work" || exit 99

# estimate INTERVAL SEEDS: one line per run, value and site in $work/got.
estimate() {
	: >got
	for seed in $(seq "$2"); do
		preload "cpu=off,heap=$1,file=$work/run$1.$seed.pb.gz" "$helpers/allocate" sites >truth 2>&1
		for index in alloc_objects alloc_space inuse_objects inuse_space; do
			pprof "run$1.$seed" -top -nodefraction=0 -sample_index=$index -unit=B
			awk -v index_name=$index '/flat%/ { on = 1; next }
				on && $6 ~ /^site_/ { print index_name, $6, $4 + 0 }' out >>got
		done
	done
}

# The mean of N runs of a sum of BYTES, one point in INTERVAL, deviates by sqrt(INTERVAL / BYTES / N)
# and hardly ever by 4.5 times that.  Counts of mixed sizes (site_5) hang on few small blocks: bytes only.
check() {
	awk -v interval="$1" -v runs="$2" -v most="$3" '
		NR == FNR {
			truth["alloc_objects", $1] = $2; truth["alloc_space", $1] = $3
			truth["inuse_objects", $1] = $4; truth["inuse_space", $1] = $5
			next
		}
		{ sum[$1, $2] += $3 }
		END {
			for (key in truth) {
				split(key, part, SUBSEP)
				bytes = truth[part[1] ~ /alloc/ ? "alloc_space" : "inuse_space", part[2]]
				if (part[2] ~ /site_5/ && part[1] ~ /objects/)
					continue
				if (part[1] ~ /space/) {
					all[part[1]] += truth[key]
					got[part[1]] += sum[key] / runs
				}
				if (truth[key] < 1000) # the last ones freed by the main thread
					continue
				deviation = sum[key] / runs / truth[key] - 1
				bound = 4.5 * sqrt(interval / bytes / runs) + 0.001
				checked++
				if (deviation > bound || deviation < -bound) {
					print part[2], part[1], "is off by", 100 * deviation "% of", 100 * bound "%"
					bad = 1
				}
			}
			for (key in all) {
				deviation = got[key] / all[key] - 1
				print key, "in all is off by", 100 * deviation "%"
				if (deviation > most || deviation < -most)
					bad = 1
			}
			exit bad || checked < 24
		}' truth got || fail "heap=$1: estimates are off"
}
estimate 512k 10
check 524288 10 0.02
estimate 64k 2
check 65536 2 0.01
finish
