#!/bin/bash
# Hosts of unusual kinds: linked or bound in other ways, for other libcs and widths, with sanitizers, with
# fibers, and those that open the library themselves.  They run as without it; what can be sampled is.
. "${srcdir:-.}/tests/e2e/lib.sh"
need_go
cd "$work" || exit 99

cat >work.c <<'END'
#include <stdio.h>
#include <stdlib.h>
__attribute__((noinline)) static long burn_here(void)
{
	volatile long i;

	for (i = 0; i < 150000000; i++) {
	}
	return i;
}
int main(void)
{
	void *memory = malloc(1 << 20);

	printf("%ld %d\n", burn_here(), memory != NULL);
	free(memory);
	return 5;
}
END
# build NAME COMMAND...: ./NAME, or false where the toolchain cannot.
build() {
	name=$1
	shift
	if ! "$@" -o "$name" >build.log 2>&1; then
		echo "$name: not tried: $(head -n 1 build.log)"
		return 1
	fi
}
# runs NAME [VARIABLE=VALUE...]: the same output and status; what else is on stderr is in $work/err.  Its profile is
# NAME.pb.gz; what a shell that it starts has of its own has another name.
runs() {
	name=$1
	shift
	env "$@" "./$name" >plain.out 2>plain.err
	plain=$?
	env "$@" LD_PRELOAD="$agent" PLUGPROF="spool=$spool,freq=1000,heap=off,file=$work/%e.pb.gz" \
		"./$name" >agent.out 2>err
	status=$?
	[ $status -eq $plain ] || fail "$name: status $status, not $plain: $(head -n 3 err)"
	cmp -s plain.out agent.out || fail "$name: prints $(head -n 3 agent.out)"
	[ -z "$(ls "$spool")" ] || fail "$name: left $(ls "$spool")"
}
silent() {
	cmp -s plain.err err || fail "$name: says $(head -n 3 err)"
}
sampled() {
	has_stack "$name" "$1"
}
not_sampled() {
	[ -e "$name.pb.gz" ] && fail "$name: has a profile"
}

build usual "$cc" -g work.c && runs usual && silent && sampled 'main > burn_here'
runs usual LD_BIND_NOW=1 && silent && sampled 'main > burn_here'
build bound_now "$cc" -g -Wl,-z,now,-z,relro -pie -fPIE work.c && runs bound_now && silent && sampled 'main > burn_here'
build at_fixed_address "$cc" -g -no-pie work.c && runs at_fixed_address && silent && sampled 'main > burn_here'
build without_frame_pointers "$cc" -g -O2 -fomit-frame-pointer work.c && runs without_frame_pointers && silent &&
	sampled 'burn_here'
# Between its segments, where its unwind tables are looked for.
build with_holes "$cc" -g -O1 -fomit-frame-pointer -no-pie -Wl,--section-start=.text=0x10000000 work.c &&
	runs with_holes && silent && sampled '_start > .*main > burn_here'
# What loads no library runs as ever, and record says why there is nothing.
for static in -static -static-pie; do
	build "linked$static" "$cc" $static work.c && runs "linked$static" && silent && not_sampled
done
if [ -x linked-static ]; then
	"$tool" record --spool="$spool" -o x.pb.gz -- ./linked-static >/dev/null 2>err
	grep -q 'left no samples: a static' err || fail "static: record says $(cat err)"
fi
# ld.so's own line, and nothing else.
if build of_32_bits "$cc" -m32 work.c; then
	runs of_32_bits
	not_sampled
	[ "$(grep -vc '^ERROR: ld.so: object .* cannot be preloaded' err)" -eq 0 ] || fail "of_32_bits: says $(cat err)"
fi
# For musl: the library steps aside, its hooks lead to musl's own functions; record says so.
cat >doors.c <<'END'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <threads.h>
#include <unistd.h>
static volatile int caught;
static void catch(int number) { caught = number; }
static void *allocate(void *argument)
{
	free(memset(malloc(100000), 1, 100000));
	return argument;
}
static int end_with_seven(void *argument) { return argument == NULL ? 7 : 0; }
int main(void)
{
	char *text = realloc(strdup("text"), 100000);
	void *aligned = NULL, *plugin, *memory, *result;
	int (*function)(int);
	int status, number, i;
	sigset_t set;
	pthread_t thread;
	thrd_t other;

	posix_memalign(&aligned, 64, 1000);
	printf("%s %d\n", text, (int)((size_t)aligned % 64));
	free(text);
	free(aligned);
	free(aligned_alloc(64, 640));
	free(calloc(1000, 10));
	for (i = 0; i < 100; i++) {
		pthread_create(&thread, NULL, allocate, (void *)5);
		pthread_join(thread, &result);
	}
	thrd_create(&other, end_with_seven, NULL);
	thrd_join(other, &status);
	printf("%d %d\n", (int)(size_t)result, status);
	signal(SIGUSR1, catch);
	raise(SIGUSR1);
	printf("caught %d\n", caught == SIGUSR1);
	sigaction(SIGUSR2, &(struct sigaction){ .sa_handler = catch }, NULL);
	raise(SIGUSR2);
	printf("caught %d\n", caught == SIGUSR2);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMAX - 1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	raise(SIGRTMAX - 1);
	sigwait(&set, &number);
	printf("waited for %d\n", number == SIGRTMAX - 1);
	memory = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memory = mremap(memory, 8192, 65536, MREMAP_MAYMOVE);
	printf("unmapped %d\n", munmap(memory, 65536));
	prctl(PR_SET_NAME, "doors");
	printf("asked %d\n", syscall(SYS_getpid) == getpid());
	plugin = dlopen("./plugin_for_musl", RTLD_NOW);
	function = (int (*)(int))dlsym(plugin, "answer");
	printf("%d %d\n", function(1), dlerror() == NULL);
	dlclose(plugin);
	fflush(stdout);
	if (fork() == 0) {
		free(malloc(1 << 20));
		_exit(9);
	}
	wait(&status);
	printf("child %d\n", WEXITSTATUS(status));
	fflush(stdout);
	printf("shell %d\n", WEXITSTATUS(system("echo here; exit 4")));
	return 3;
}
END
echo 'int answer(int a) { return a + 41; }' >answer.c
if command -v musl-gcc >/dev/null && build plugin_for_musl musl-gcc -shared -fPIC answer.c &&
	build doors musl-gcc doors.c; then
	runs doors && silent && not_sampled
	LD_PRELOAD="$agent" PLUGPROF="verbose,follow=fork,spool=$spool" ./doors >agent.out 2>err
	[ "$(cat err)" = "plugprof: the program is built for musl; not profiling" ] ||
		fail "musl: says $(head -n 2 err)"
fi
command -v musl-gcc >/dev/null && build static_for_musl musl-gcc -static work.c &&
	runs static_for_musl && silent && not_sampled
if command -v musl-gcc >/dev/null && build for_musl musl-gcc work.c; then
	runs for_musl && silent && not_sampled
	# A chain of shells with both kinds: what is for glibc is sampled, and nothing is said of the other.
	cp usual for_glibc
	# shellcheck disable=SC2016 # the inner shell's
	"$tool" record -q --merge --spool="$spool" -F 1000 -o chain.pb.gz -- \
		sh -c './for_musl; sh -c "./for_musl; ./for_glibc"; env ./for_musl; echo $?' >agent.out 2>err
	[ "$(tail -n 1 agent.out)" = 5 ] || fail "musl in a chain: $(cat agent.out)"
	[ -s err ] && fail "musl in a chain: says $(head -n 2 err)"
	name=chain
	sampled 'main > burn_here'
	"$tool" record --spool="$spool" -o x.pb.gz -- ./for_musl >agent.out 2>err
	status=$?
	[ $status -eq 5 ] || fail "musl: status $status: $(head -n 2 err)"
	grep -q '^plugprof: .*for_musl is built for musl' err || fail "musl: record says $(cat err)"
	[ "$(wc -l <err)" -eq 1 ] || fail "musl: record says more than one line"
fi
# Sanitizers run, and are not sampled.  (gcc's AddressSanitizer refuses any library before its own, unless told.)
for sanitizer in address thread; do
	build "with_$sanitizer" "$cc" -g -fsanitize=$sanitizer work.c &&
		runs "with_$sanitizer" ASAN_OPTIONS=verify_asan_link_order=0 && silent && not_sampled
	command -v clang >/dev/null && build "clang_$sanitizer" clang -g -fsanitize=$sanitizer work.c &&
		runs "clang_$sanitizer" ASAN_OPTIONS=verify_asan_link_order=0 && silent && not_sampled
done

# --- opened, not preloaded: twice, closed, and in a namespace of its own ---
cat >opens.c <<'END'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
int main(int argc, char **argv)
{
	volatile long i;
	void *one = dlopen(argv[1], RTLD_NOW), *other;

	(void)argc;
	if (!one)
		printf("%s\n", dlerror());
	dlclose(one);
	other = dlopen(argv[1], RTLD_NOW);
	for (i = 0; i < 100000000; i++) {
	}
	printf("%d %d\n", one == other, dlmopen(LM_ID_NEWLM, "libm.so.6", RTLD_NOW) != NULL);
	return 3;
}
END
if build opens "$cc" -g opens.c -ldl; then
	PLUGPROF="spool=$spool,freq=1000,heap=off,file=$work/opens.pb.gz" ./opens "$agent" >agent.out 2>err
	status=$?
	[ $status -eq 3 ] || fail "opens: status $status"
	[ "$(cat agent.out)" = "1 1" ] || fail "opens: prints $(cat agent.out)"
	[ -s err ] && fail "opens: says $(cat err)"
	name=opens
	sampled 'main'
fi

# --- threads of a C host that are cancelled, or end themselves, in a plugin in C++ with destructors to run ---
cat >ends.cc <<'END'
#include <cstdlib>
#include <pthread.h>
#include <string>
#include <unistd.h>
static long destroyed;
struct Guard {
	std::string text = std::string(100000, 'x');
	~Guard() { __atomic_fetch_add(&destroyed, 1, __ATOMIC_SEQ_CST); }
};
__attribute__((noinline)) static void sink(int depth, bool by_itself)
{
	Guard guard;

	if (depth > 0) {
		sink(depth - 1, by_itself);
		asm volatile("" ::: "memory"); /* no tail call */
		return;
	}
	for (volatile long i = 0; i < 3000000; i = i + 1) {
	}
	if (by_itself)
		pthread_exit(nullptr);
	try {
		for (;;)
			pause();
	} catch (...) { /* a cancellation passes, and is thrown on */
		Guard another;
		throw;
	}
}
extern "C" void *begin(void *by_itself)
{
	Guard guard;

	sink(9, by_itself != nullptr);
	return nullptr;
}
extern "C" long count(void) { return destroyed; }
END
cat >hosts_ends.c <<'END'
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
int main(void)
{
	void *plugin = dlopen("./ends.so", RTLD_NOW), *result;
	void *(*begin)(void *) = (void *(*)(void *))dlsym(plugin, "begin");
	long (*count)(void) = (long (*)(void))dlsym(plugin, "count");
	int cancelled = 0;

	for (int i = 0; i < 40; i++) {
		pthread_t threads[2];

		pthread_create(&threads[0], NULL, begin, NULL);
		pthread_create(&threads[1], NULL, begin, plugin);
		pthread_cancel(threads[0]);
		pthread_join(threads[0], &result);
		cancelled += result == PTHREAD_CANCELED;
		pthread_join(threads[1], &result);
	}
	printf("%d cancelled, %ld destroyed\n", cancelled, count());
	return 0;
}
END
if build ends.so "${CXX:-c++}" -g -O1 -fPIC -shared ends.cc &&
	build hosts_ends "$cc" -g hosts_ends.c -lpthread -ldl; then
	runs hosts_ends && silent && sampled 'begin > sink'
	# As much as with every allocation recorded.
	LD_PRELOAD="$agent" PLUGPROF="spool=$spool,freq=1000,heap=1,file=$work/all.pb.gz" ./hosts_ends >agent.out 2>err
	cmp -s plain.out agent.out || fail "hosts_ends: every allocation recorded, prints $(cat agent.out)"
	grep -q '^40 cancelled, 920 destroyed$' plain.out || fail "hosts_ends: without: $(cat plain.out)"
fi

# --- fibers of boost: stacks that no libc knows ---
cat >fibers.cc <<'END'
#include <boost/context/fiber.hpp>
#include <cstdio>
namespace ctx = boost::context;
__attribute__((noinline)) void burn_in_fiber()
{
	for (volatile long i = 0; i < 3000000; i = i + 1) {
	}
}
int main()
{
	long rounds = 0;
	ctx::fiber fiber([&](ctx::fiber &&back) {
		for (;;) {
			burn_in_fiber();
			rounds++;
			back = std::move(back).resume();
		}
		return std::move(back);
	});

	for (int i = 0; i < 40; i++)
		fiber = std::move(fiber).resume();
	std::printf("%ld rounds\n", rounds);
}
END
if build fibers "${CXX:-c++}" -g -O1 fibers.cc -lboost_context; then
	runs fibers && silent && sampled 'burn_in_fiber'
fi
finish
