#!/bin/bash
# With heap=1 every function of the allocator is counted to the byte: allocated, and in use at the
# end; errors, results and errno are what they are without us.  Each kind of profile has its name.
. "${srcdir:-.}/tests/e2e/lib.sh"
. "${srcdir:-.}/tests/e2e/allocators.sh"
need_helper allocate
need_go
cd "$work" || exit 99

"$helpers/allocate" doors >plain
[ "$(wc -l <plain)" -ge 15 ] || fail "allocate told too little: $(cat plain)"
record_well exact --heap --heap-interval=1 -- "$helpers/allocate" doors
cmp plain exact.out || fail "record changes what it prints"
as_told exact plain
pprof exact -raw
has '^PeriodType: space bytes'
has '^Period: 1$'
has '^alloc_objects/count alloc_space/bytes inuse_objects/count inuse_space/bytes\[dflt\]'
pprof exact -traces
has 'bytes: +1kB'
has_not 'plugprof\.so|_when_due|alloc_sampler'
# The allocator's own functions are no part of a stack: the leaf is who called.
pprof exact -top -nodefraction=0 -nodecount=100000 -focus='^door_'
has_not ' (__libc_)?(malloc|calloc|realloc|memalign|posix_memalign|aligned_alloc)$'
preload "cpu=off,heap=1,file=$work/alone.pb.gz" "$helpers/allocate" doors >alone.out 2>&1
cmp plain alone.out || fail "the agent alone changes what it prints"
as_told alone plain
[ ! -e alone.heap.pb.gz ] || fail "a heap profile alone has another name than asked for"

for calls in errors odd; do
	"$helpers/allocate" $calls >plain_errors
	for settings in heap=1 heap=100 heap=512k heap=off; do
		preload "cpu=off,$settings,file=$work/errors.pb.gz" "$helpers/allocate" $calls >errors.out 2>&1
		cmp plain_errors errors.out || fail "$settings: $calls are not what they are without us"
	done
done

# --- what others lay over malloc: its frames are the program's, and stay ---

cat >layers.cc <<'END'
#include <vector>
extern "C" void *g_malloc(unsigned long);
__attribute__((noipa)) void *by_vector() { return new std::vector<int>(100000); }
#ifdef GLIB
__attribute__((noipa)) void *by_glib() { return g_malloc(12345); }
#else
__attribute__((noipa)) void *by_glib() { return nullptr; }
#endif
int main() { by_vector(); by_glib(); }
END
glib=$(find /usr/lib -maxdepth 2 -name libglib-2.0.so.0 | head -n 1)
# shellcheck disable=SC2086 # one word or none
if ${CXX:-c++} -g -O0 ${glib:+-DGLIB} -o layers layers.cc $glib 2>err; then
	record_well layers --heap --heap-interval=1 -- ./layers
	pprof layers -traces -focus='^by_'
	tr -s ' \n' ' ' <out >chains # leaf first
	grep -Eq ' operator new std::[^ ]*allocator<int>::allocate std::allocator_traits.* by_vector main' chains ||
		fail "frames of operator new or std::allocator are missing: $(cat out)"
	[ -z "$glib" ] || grep -q ' g_malloc by_glib main ' chains || fail "no frame of g_malloc: $(cat out)"
else
	echo "not tried: layers over malloc: $(cat err)"
fi

# --- moments: constructors, destructors, handlers of exit, fork, signals and a thread's end ---

"$helpers/allocate" moments >plain_moments
[ "$(wc -l <plain_moments)" -eq 7 ] || fail "allocate told too little: $(cat plain_moments)"
record_well moments --heap --heap-interval=1 -- "$helpers/allocate" moments
cmp plain_moments moments.out || fail "record changes what is printed of moments"
as_told moments plain_moments

# --- mappings: recorded each, when asked for, at any interval ---

"$helpers/allocate" maps >plain_maps
record_well maps --heap --mmap -- "$helpers/allocate" maps
cmp plain_maps maps.out || fail "record --mmap changes what it prints"
as_told maps plain_maps
pprof maps -traces
has 'kind: *mmap'
record_well unasked --heap --heap-interval=1 -- "$helpers/allocate" maps
pprof unasked -top
has_not ' map_'

# --- probes ---

if command -v readelf >/dev/null; then
	readelf -nW "$agent" | grep -A3 'Provider: otel_memory' | sed -n 's/^ *\(Name\|Arguments\): //p' |
		sed 's/%r[a-z0-9]*/R/g' | paste -d' ' - - | sort -u >out
	[ "$(cat out)" = "$(printf 'alloc 8@R 8@R 8@R\nfree 8@R')" ] || fail "probes: $(cat out)"
fi

# --- names ---

files_are() {
	echo ./*.pb.gz | sed 's/\.[0-9]\{2,\}\./.PID./g' >names
	[ "$(cat names)" = "$*" ] || fail "files $(cat names), expected $*"
	rm -f ./*.pb.gz
}
mkdir names.d
cd names.d || exit 99
both() {
	"$tool" record --spool="$spool" -q "$@" -- "$helpers/allocate" doors >out 2>&1 || fail "record $*: $(cat out)"
}
both -o x.pb.gz
files_are ./x.heap.pb.gz ./x.pb.gz
both
files_are ./allocate.PID.cpu.pb.gz ./allocate.PID.heap.pb.gz
both --heap
files_are ./allocate.PID.heap.pb.gz
both --heap -o y.pb.gz
files_are ./y.pb.gz
both --cpu -o y.pb.gz
files_are ./y.pb.gz
both --cpu --heap -o y.pb.gz
files_are ./y.heap.pb.gz ./y.pb.gz
both -o /dev/null
files_are './*.pb.gz'
PLUGPROF=cpu=off both -o z.pb.gz
files_are ./z.pb.gz
PLUGPROF=cpu=off "$tool" record --heap-interval=off true 2>err && fail "neither kind, and no complaint"
grep -q neither err || fail "neither kind: $(cat err)"
finish
