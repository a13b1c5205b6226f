#!/bin/bash
# plugprof leaks: what a plugin holds, also after it was unloaded, by generation; growth; statuses.
. "${srcdir:-.}/tests/e2e/lib.sh"
need_samples
cd "$work" || exit 99
heap=$samples/plugin_heap.so
codec=$samples/plugin_codec.so

host() {
	name=$1
	shift
	"$tool" record -q --heap --heap-interval=1 --spool="$spool" -o "$name.pb.gz" -- "$samples/host" "$@" \
		>out 2>err || fail "record $name: $(cat err)"
}
# leaks STATUS ARGUMENT...: what it prints in $work/out
leaks() {
	status=$1
	shift
	"$tool" leaks "$@" >out 2>err
	got=$?
	[ $got = "$status" ] || fail "leaks $*: status $got, not $status: $(cat err out)"
	[ ! -s err ] || fail "leaks $* says $(cat err)"
}

host open "$heap"
leaks 0 open.pb.gz
has '^ +64\.0 MiB +17152 +plugin_heap\.so$'
has '^ +48\.0 MiB +768 +heap_keep_large plugin_heap\.c:[0-9]+$'
has '^ +16\.0 MiB +16384 +heap_keep_small plugin_heap\.c'
has_not unloaded
leaks 3 --fail-above=63m open.pb.gz
leaks 0 --fail-above=70m open.pb.gz
leaks 0 -q open.pb.gz
[ ! -s out ] || fail "-q prints"
leaks 0 -n 1 -p plugin_heap.so open.pb.gz
has heap_keep_large
has_not 'heap_keep_small|host\)$'
has '1 more stacks'

host closed --close "$heap"
leaks 3 closed.pb.gz
has '^ +64\.0 MiB +17152 +plugin_heap\.so: held by an unloaded plugin$'
# A plugin's name is on one line, and leaves the terminal as it is.
odd=$(printf 'odd\033[31m\n.so')
cp "$heap" "./$odd"
host odd --close "./$odd"
leaks 3 -n 0 odd.pb.gz
has '^ +64\.0 MiB +17152 +odd\?\[31m\?\.so: held by an unloaded plugin$'

# Who records is told, and what to type.
said() {
	"$tool" record --heap-interval=1 --spool="$spool" -o said.pb.gz "$@" "$heap" >/dev/null 2>out ||
		fail "record $*: $(cat out)"
	[ "$(wc -l <out)" -le 6 ] || fail "record $*: more than six lines"
}
said --heap -- "$samples/host" --close
has 'in use \(64\.0 MiB of it held by unloaded plugins\)'
has 'next: plugprof leaks said\.pb\.gz$'
said -- "$samples/host" --close
has 'in use \(64\.0 MiB of it held by unloaded plugins\)'
has 'next: go tool pprof'
said --heap -- "$samples/host"
has 'next: go tool pprof'
has_not unloaded

# Loaded three times, each leaks 64 MiB; another plugin comes in between, at its address.
host reloaded --in-turn "$heap" "$codec" "$heap" "$codec" "$heap"
leaks 3 reloaded.pb.gz
has '^ +192\.0 MiB +51456 +plugin_heap\.so: held by an unloaded plugin$'
has_not 'plugin_codec.*unloaded'
PLUGPROF=generations host again --in-turn "$heap" "$heap" "$heap"
leaks 3 again.pb.gz
for generation in 1 2 3; do
	has "^ +64\.0 MiB +17152 +plugin_heap\.so #$generation: held by an unloaded plugin$"
done

# --- another plugin at the same place, with another frame; both files deleted ---

cat >plugin.c <<'END'
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
const char plugin_name[] = NAME;
__attribute__((noipa)) void *FUNCTION(int depth)
{
	volatile char frame[FRAME];
	memset((char *)frame, 1, sizeof(frame));
	return depth ? FUNCTION(depth - 1) : malloc(SIZE);
}
uint64_t plugin_run(uint64_t rounds) { void *volatile kept = FUNCTION(5); return !kept + rounds; }
END
plugin() {
	$cc -O1 -g -shared -fPIC -fomit-frame-pointer -fno-builtin -Wl,--build-id -DNAME="\"$1\"" -DFUNCTION="$1_keep" \
		-DFRAME="$2" -DSIZE="$3" -o "$1.so" plugin.c
}
if plugin alpha 48 20971520 2>err && plugin bravo 3000 10485760 2>>err; then
	host replaced --in-turn --delete ./alpha.so ./bravo.so
	leaks 3 replaced.pb.gz
	has '^ +20\.0 MiB +1 +alpha\.so: held by an unloaded plugin$'
	has '^ +10\.0 MiB +1 +bravo\.so: held by an unloaded plugin$'
	has 'alpha_keep plugin\.c'
	has 'bravo_keep plugin\.c'
	"$go" tool pprof -traces -focus='_keep' replaced.pb.gz >out 2>/dev/null
	has_not '\?\?|truncated|unknown|!0x'
	# What was allocated, and what is still in use, are samples of their own.
	[ "$(grep -c '_keep$' out)" -eq 24 ] || fail "not six frames of each: $(cat out)"

	# It was the same place.
	"$go" tool pprof -raw replaced.pb.gz 2>/dev/null | awk '/\/(alpha|bravo)\.so / { print $2 }' >places
	[ "$(wc -l <places) $(sort -u places | wc -l)" = "2 1" ] ||
		fail "bravo.so is not where alpha.so was: $(cat places)"

	# Builds of one file, whose functions and lines have the same names, are told apart.
	mkdir one two
	plugin keep 48 20971520 && mv keep.so one
	plugin keep 3000 10485760 && mv keep.so two
	host builds --in-turn ./one/keep.so ./two/keep.so
	leaks 3 builds.pb.gz
	has '^ +20\.0 MiB +1 +keep\.so \([0-9a-f]{12}\): held by an unloaded plugin$'
	has '^ +10\.0 MiB +1 +keep\.so \([0-9a-f]{12}\): held by an unloaded plugin$'
	# Of one that is loaded again and again the most are shown, and a sum.
	ten=""
	for _ in 1 2 3 4 5 6 7 8 9 10; do ten="$ten ./one/keep.so"; done
	# shellcheck disable=SC2086 # ten words
	PLUGPROF=generations host ten --in-turn $ten
	leaks 3 ten.pb.gz
	[ "$(grep -Ec '^ +20\.0 MiB +1 +keep\.so #' out)" -eq 8 ] || fail "not eight loads: $(cat out)"
	has '^ +40\.0 MiB +2 +keep\.so: 2 more builds or loads that were unloaded$'
	has '^ +200\.[0-9] MiB +[0-9]+ +in all$'
	# Compared, one follows the other.
	host one ./one/keep.so
	leaks 0 --since=one.pb.gz one.pb.gz
	has '^ +0 B +0 +in all$'
	host two ./two/keep.so
	leaks 0 -p keep.so --since=two.pb.gz one.pb.gz
	has '^ +10\.0 MiB +0 +keep\.so$'
else
	echo "no compiler: plugins at the same place are not tried: $(cat err)"
fi

# --- who frees is not who is told of ---

cat >giver.c <<'END'
#include <stdlib.h>
void *giver_take(size_t size) { return malloc(size); }
void giver_free(void *block) { free(block); }
END
cat >crossing.c <<'END'
#include <dlfcn.h>
#include <stdlib.h>
static void *volatile kept[100];
__attribute__((noipa)) static void *host_take(size_t size) { return malloc(size); }
int main(void)
{
	void *plugin = dlopen("./giver.so", RTLD_NOW);
	void *(*take)(size_t) = (void *(*)(size_t))dlsym(plugin, "giver_take");
	void (*give)(void *) = (void (*)(void *))dlsym(plugin, "giver_free");
	for (int i = 0; i < 100; i++) {
		void *block = take(1024), *own = host_take(2048);
		if (i % 10) {
			free(block);
			give(own);
		} else
			kept[i] = block, kept[i + 1] = own;
	}
	dlclose(plugin);
	free(kept[0]);
	return 0;
}
END
if $cc -g -O1 -shared -fPIC -fno-builtin -fno-optimize-sibling-calls -o giver.so giver.c 2>err &&
	$cc -g -O1 -w -fno-builtin -fno-optimize-sibling-calls -o crossing crossing.c -ldl 2>>err; then
	"$tool" record -q --heap --heap-interval=1 --spool="$spool" -o crossing.pb.gz -- ./crossing >out 2>err ||
		fail "record crossing: $(cat err)"
	leaks 3 crossing.pb.gz
	has '^ +9\.0 KiB +9 +giver\.so: held by an unloaded plugin$'
	has '^ +9\.0 KiB +9 +giver_take giver\.c'
	leaks 3 crossing.pb.gz -n 100
	has '^ +20\.0 KiB +10 +host_take crossing\.c'
	has_not giver_free
else
	echo "no compiler: blocks that the host frees are not tried: $(cat err)"
fi

# --- growth ---

leaks 3 --since=open.pb.gz reloaded.pb.gz
has 'growth'
has '^ +192\.0 MiB .*unloaded'
leaks 0 --since=open.pb.gz open.pb.gz
has '^ +0 B +0 +in all$'
# What shrank in between is no leak.
host none "$codec"
leaks 0 --since=none.pb.gz open.pb.gz
has '^ +64\.0 MiB +17152 +plugin_heap\.so$'
leaks 0 --since=none.pb.gz open.pb.gz none.pb.gz
has_not plugin_heap
leaks 3 --since=none.pb.gz --fail-above=10m open.pb.gz
leaks 0 --since=closed.pb.gz open.pb.gz

# --- what cannot be answered ---

# refused NAMED ARGUMENT...: in one line with NAMED in it, and nothing on stdout.
refused() {
	named=$1
	shift
	"$tool" leaks "$@" >out 2>err
	got=$?
	[ $got = 1 ] || fail "leaks $*: status $got, not 1: $(cat err out)"
	[ ! -s out ] || fail "leaks $* prints $(cat out)"
	[ "$(wc -l <err)" -eq 1 ] || fail "leaks $*: not one line: $(cat err)"
	grep -qF -- "$named" err || fail "leaks $* does not name $named: $(cat err)"
}
# A plugin that was there and holds nothing is no mistake, a name that was not there is one.
leaks 0 -p plugin_codec.so none.pb.gz
refused plugin_hepa.so -q -p plugin_hepa.so open.pb.gz
refused 'plugprof plugins open.pb.gz' -p host open.pb.gz
"$tool" record -q --heap --heap-interval=1 --spool="$spool" -o other.pb.gz -- "$samples/sorter" >out 2>err
refused 'sorter and host' --since=other.pb.gz open.pb.gz

# The profile says so to pprof, too.
if "$go" version >/dev/null 2>&1; then
	"$go" tool pprof -top -tagfocus=unloaded=plugin_heap.so closed.pb.gz >out 2>&1
	has '48MB .* heap_keep_large'
	"$go" tool pprof -top -tagfocus=unloaded=. open.pb.gz >out 2>&1
	has_not heap_keep
	"$go" tool pprof -tags closed.pb.gz >out 2>&1
	has '^ +64MB \(.*: plugin_heap\.so$'
	has '^ +48MB \(.*: 64kB$'
	has '^ +64MB \(.*: worker-0$'
fi
finish
