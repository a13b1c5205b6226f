#!/bin/bash
# Real programs with heap=1, on glibc's allocator, jemalloc and tcmalloc: their output is what it is
# without us, and what the profile says was allocated and is in use is to the byte what a library
# between us and the allocator has logged, and what valgrind counts.
. "${srcdir:-.}/tests/e2e/lib.sh"
. "${srcdir:-.}/tests/e2e/allocators.sh"
need_go
command -v python3 >/dev/null || skip "no python3 to compare with"
cd "$work" || exit 99
$cc -shared -fPIC -O1 -fno-builtin -w -o oracle.so "$source_folder/tests/e2e/alloc_oracle.c" ||
	skip "the compiler makes no library"


# $work/told: objects, bytes, and those in use, of run.pb.gz
sum_up() {
	"$go" tool pprof -raw run.pb.gz 2>/dev/null | awk '/^Samples:/ { on = 1; next } /^Locations/ { on = 0 }
		on && sub(/:/, " ") { for (i = 1; i <= 4; i++) sum[i] += $i }
		END { printf "%d %d %d %d\n", sum[1], sum[2], sum[3], sum[4] }' >told
}

# counted ALLOCATOR PROGRAM...
counted() {
	local allocator=$1
	shift
	command -v "$1" >/dev/null || { echo "not tried: no $1"; return; }
	LD_PRELOAD=$allocator "$@" >plain.out 2>plain.err
	local status=$?
	rm -f run.pb.gz log
	ALLOC_ORACLE=$work/log LD_PRELOAD="$agent $work/oracle.so $allocator" \
		PLUGPROF="cpu=off,heap=1,spool=$spool,file=$work/run.pb.gz" "$@" >agent.out 2>agent.err
	[ $? = $status ] || fail "$allocator $1: another status than $status"
	cmp -s plain.out agent.out || fail "$allocator $1: another output"
	cmp -s plain.err agent.err || fail "$allocator $1: says $(cat agent.err)"
	sum_up
	# shellcheck disable=SC2046 # four numbers
	python3 -B "$source_folder/tests/e2e/alloc_oracle.py" log $(cat told) >compared ||
		fail "$allocator $*: $(cat compared)"
	echo "${allocator##*/} ${1##*/}: $(cat told): $(cat compared)"
}

cat >rows.sql <<'END'
create table t(a integer, b text);
with recursive n(i) as (select 1 union all select i+1 from n where i<3000) insert into t select i, 'row ' || i from n;
select count(*), sum(length(b)) from t where b like '%9%' group by a % 10;
END
echo '[{"id":1,"list":[1,2,3]},{"id":2,"list":[4,5,6]}]' >small.json
export PYTHONMALLOC=malloc PYTHONHASHSEED=0
for allocator in "" "$jemalloc" "$tcmalloc"; do
	counted "$allocator" sqlite3 :memory: ".read rows.sql"
	# shellcheck disable=SC2016 # Perl's
	counted "$allocator" perl -e 'my %h; $h{$_ % 997} .= "x$_" for 1..9000; print scalar(keys %h), "\n"'
	counted "$allocator" jq -c 'map(.list|add), [range(3000)] | length' small.json
	counted "$allocator" /usr/bin/python3 -c 'import json; print(len(json.dumps([{"n": i} for i in range(2000)])))'
	[ -n "$jemalloc$tcmalloc" ] || break
done

# valgrind counts what a program asks for and frees, from its first instruction to its last; left to
# itself it frees what libc and libstdc++ hold at the end.
if command -v valgrind >/dev/null && command -v sqlite3 >/dev/null; then
	counted "" sqlite3 :memory: ".read rows.sql"
	valgrind --run-libc-freeres=no --run-cxx-freeres=no sqlite3 :memory: ".read rows.sql" >out 2>&1
	sed 's/,//g' out | sed -n 's/.*in use at exit: \([0-9]*\) bytes in \([0-9]*\) blocks.*/\2 \1/p
		s/.*total heap usage: \([0-9]*\) allocs.* \([0-9]*\) bytes allocated.*/\1 \2/p' >usage
	[ "$(sort -nr usage | paste -sd' ')" = "$(cat told)" ] || fail "valgrind counts $(cat usage), we $(cat told)"
	echo "valgrind: $(cat usage)"
fi
finish
