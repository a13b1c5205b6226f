#!/bin/bash
# C++'s operators new and delete of jemalloc, tcmalloc and others, preloaded or linked: counted to the byte
# with heap=1, by the line of who calls them; exceptions go through us. Where nobody but libstdc++
# answers them, and where plugins bring their own, all is as without us. What escapes us is said.
. "${srcdir:-.}/tests/e2e/lib.sh"
. "${srcdir:-.}/tests/e2e/allocators.sh"
cd "$work" || exit 99
full=$(one_of /usr/lib/*/libtcmalloc.so.4 /usr/lib/libtcmalloc.so.4)
debug=$(one_of /usr/lib/*/libtcmalloc_debug.so.4 /usr/lib/libtcmalloc_debug.so.4)
mimalloc=$(one_of /usr/lib/*/libmimalloc.so.2* /usr/lib/libmimalloc.so.2*)

cxx() {
	${CXX:-c++} -std=c++17 -g -O1 -w -o "$@" 2>err || fail "$1: $(cat err)"
}
echo 'int main() { return 0; }' >try.cc
${CXX:-c++} -std=c++17 -o try try.cc 2>err || skip "no C++17: $(head -n 1 err)"
cxx operators "$source_folder/tests/e2e/operators.cc" -pthread

# --- counted to the byte ---

nothing_is_missed() {
	grep "not seen" said && fail "$1: $(cat said)"
}

# counted ALLOCATOR MODE...: it may be not installed
counted() {
	[ -n "$1" ] || return
	for mode in "${@:2}"; do
		runs_the_same "" "$1" ./operators "$mode"
		nothing_is_missed "$mode on $1"
		as_told run agent.out "$mode on $1"
	done
}
counted "$jemalloc" all fails crosses threads
counted "$tcmalloc" all fails crosses threads
counted "$full" fails
counted "$debug" fails # it ends programs that free what new gave
counted "$mimalloc" all crosses threads # it aborts where new fails
for mode in all fails crosses threads; do
	runs_the_same "" "" ./operators "$mode"
	nothing_is_missed "$mode"
done
as_told run agent.out "threads"

# A library that answers malloc by libc's, and new by malloc: its blocks are not counted twice.
cat >passing.cc <<'END'
#include <cstdlib>
#include <new>
extern "C" {
void *__libc_malloc(std::size_t);
void __libc_free(void *);
void *malloc(std::size_t size) { return __libc_malloc(size); }
void free(void *block) { __libc_free(block); }
}
void *operator new(std::size_t size)
{
	void *block = std::malloc(size);
	if (!block)
		throw std::bad_alloc();
	return block;
}
void *operator new[](std::size_t size) { return operator new(size); }
void operator delete(void *block) noexcept { std::free(block); }
void operator delete[](void *block) noexcept { operator delete(block); }
END
cxx passing.so passing.cc -shared -fPIC -fno-builtin
runs_the_same "" "$work/passing.so" ./operators threads
as_told run agent.out "through malloc"

# Linked, under record, in the child of a program without operators; the leaf is who called.
allocator=${tcmalloc:-$jemalloc}
if [ -n "$allocator" ] && [ -n "$go" ]; then
	cxx linked "$source_folder/tests/e2e/operators.cc" -pthread -Wl,--no-as-needed "$allocator"
	record_well linked --heap --heap-interval=1 --include=linked -- sh -c './linked all; exit 0'
	as_told linked linked.out
	grep "not seen" linked.err && fail "linked: $(cat linked.err)"
	pprof linked -top -nodefraction=0 -nodecount=100000 -focus='^(one|many)'
	has_not ' operator new|libplugprof| _Zn[wa]m'
	# Before us, it is its malloc that is called, and nothing is seen.
	runs_the_same "$allocator" "" ./operators all
	said "not seen: no allocation: malloc is that of lib(tcmalloc|jemalloc)" "before us"
fi

# --- who brings operators along keeps them ---

# A program in C, which opens what it is given, calls it, and closes it; twice.
cat >host.c <<'END'
#include <dlfcn.h>
#include <stdio.h>
int main(int argc, char **argv) {
	for (int i = 0; i < 2 * (argc - 1); i++) {
		void *h = dlopen(argv[i % (argc - 1) + 1], RTLD_NOW | RTLD_LOCAL);
		int (*run)(void) = h ? (int (*)(void))dlsym(h, "run") : NULL;
		if (!run) { puts(dlerror()); return 1; }
		printf("%d\n", run());
		dlclose(h);
	}
	return 0;
}
END
cat >plain.cc <<'END'
#include <string>
#include <vector>
extern "C" __attribute__((noinline)) std::size_t fill(std::vector<std::string> &v)
{
	for (int i = 1; i <= 300; i++)
		v.emplace_back(100, 'x');
	return v.size();
}
extern "C" int run()
{
	std::vector<std::string> v;
	v.reserve(300);
	return fill(v);
}
END
# Operators with memory of their own, which see what is not theirs.
cat >own.cc <<'END'
#include <cstdlib>
#include <new>
static char pool[1 << 20];
static std::size_t used;
static int calls, strangers;
void *operator new(std::size_t size)
{
	calls++;
	used += (size + 15) & ~15ul;
	return pool + used - ((size + 15) & ~15ul);
}
void operator delete(void *block) noexcept
{
	if ((char *)block < pool || (char *)block >= pool + sizeof(pool))
		strangers++;
}
void operator delete(void *block, std::size_t) noexcept { operator delete(block); }
extern "C" int run()
{
	for (int i = 0; i < 100; i++)
		::operator delete(::operator new(i + 1));
	return 1000 * strangers + calls;
}
END
# A library of the program's that opens one before our own start.
cat >early.c <<'END'
#include <dlfcn.h>
#include <stdio.h>
__attribute__((constructor)) static void early(void) {
	void *h = dlopen("./own.so", RTLD_NOW);
	int (*run)(void) = h ? (int (*)(void))dlsym(h, "run") : NULL;
	printf("early %d\n", run ? run() : -1);
}
END
cxx plain.so plain.cc -shared -fPIC
cxx own.so own.cc -shared -fPIC
cxx lazy "$source_folder/tests/e2e/operators.cc" -pthread -Wl,-z,lazy
cxx now "$source_folder/tests/e2e/operators.cc" -pthread -Wl,-z,now
{
	$cc -o host host.c -ldl && $cc -shared -fPIC -o early.so early.c -ldl &&
		$cc -o early host.c -Wl,--no-as-needed ./early.so -ldl
} 2>err || fail "$(cat err)"
for behind in "" "$jemalloc" "$tcmalloc"; do
	runs_the_same "" "$behind" ./host ./plain.so ./own.so
	[ -n "$behind" ] || [ "$(tail -n 1 agent.out)" = 100 ] || fail "a plugin's own operators: $(cat agent.out)"
	runs_the_same "" "$behind" ./early ./plain.so ./own.so
	runs_the_same "" "$behind" ./lazy fails
	runs_the_same "" "$behind" ./now fails
done

cp "$agent" again.so
runs_the_same "" "$work/again.so" ./early ./plain.so ./own.so

# bindings BEHIND PROGRAM...: whose operators the loader takes, in $work/bound
bindings() {
	rm -f bindings.*
	LD_DEBUG=bindings LD_DEBUG_OUTPUT=bindings LD_PRELOAD="$agent $1" PLUGPROF=off "${@:2}" >/dev/null
	grep -hE 'symbol .(_Z[nd][wla]|_Zna)' bindings.* >bound
}
bindings "" ./host ./plain.so ./own.so
grep -q 'plain.so .* to .*libstdc++.*_Znwm' bound || fail "a plugin's operator new is not libstdc++'s"
grep 'plain.so .* to .*libplugprof' bound && fail "a plugin's operators are ours"
grep 'own.so .* to .*libplugprof' bound && fail "a plugin's own operators are ours"
if [ -n "$jemalloc" ]; then
	runs_the_same "" "$jemalloc" ./host ./plain.so
	[ -z "$go" ] || pprof run -top -nodefraction=0 -sample_index=alloc_space -unit=B -focus='^fill$'
	[ -z "$go" ] || has ' 60600B +[0-9.]+% +fill$'
fi

# --- what escapes us is said ---

cat >main.cc <<'END'
#include <cstdio>
extern "C" int run();
int main() { std::printf("%d\n", run()); }
END
cxx pool main.cc -Wl,--no-as-needed own.cc # libstdc++ then calls its operators
cxx pool_linked main.cc -Wl,--no-as-needed ./own.so -Wl,-rpath,.
cat >counting.cc <<'END'
#include <cstdlib>
#include <new>
static int calls;
void *operator new(std::size_t size)
{
	calls++;
	return std::malloc(size);
}
extern "C" int run()
{
	std::free(::operator new(100));
	return calls;
}
END
cxx counting main.cc counting.cc
runs_the_same "" "" ./pool
said "not seen: C\+\+'s operator new: that of the program does not take its memory from malloc" pool
runs_the_same "" "" ./pool_linked
said "not seen: C\+\+'s operator new: that of own.so does not" pool_linked
runs_the_same "" "" ./counting
nothing_is_missed "a program's own operator new that calls malloc"
finish
