#define _GNU_SOURCE
#include "agent/real.h"

#include <stddef.h>

#include "agent/dl_symbols.h"
#include "agent/libc_kind.h"
#include "base/compiler.h"
#include "base/monotonic.h"

struct real real;

/* dlsym is one of our own hooks, so it is asked for by version: first glibc 2.34's libc.so,
 * then the libdl.so of older ones. */
static void *find_dlsym(void)
{
	void *found;

	if (!libc_is_glibc())
		return dl_symbols_find_next("dlsym").function;
	found = dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.34");

	return found ? found : dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.2.5");
}

/* libc's own, whoever else defines one: a handler must not run into another library's lock.  Not by
 * dlopen, which allocates: a malloc before ours may call dlsym, and so come back here. */
static void find_clock(void)
{
	void *found = dl_symbols_find_by_file("libc.so.6", "clock_gettime");

	if (found)
		*(void **)&monotonic_clock = found;
}

/* Sanitizers intercept what they can, and are not ready for a call before their own start.  Asked
 * of ld.so at our own loading: dlsym allocates for what it does not find. */
#define SANITIZERS(X) X(__asan_init) X(__hwasan_init) X(__msan_init)
#define DECLARE(start) extern void start(void) __attribute__((weak, visibility("default")));
SANITIZERS(DECLARE)
DECLARE(__tsan_init)
DECLARE(__tsan_go_start)
#undef DECLARE

static bool find_sanitizer(void)
{
#define IS_THERE(start) || start
	/* Go's race detector is ThreadSanitizer without its interceptors. */
	return (__tsan_init && !__tsan_go_start) SANITIZERS(IS_THERE);
#undef IS_THERE
}
#undef SANITIZERS

static void find_what_is_glibcs(void *(*lookup)(void *, const char *))
{
	real.sanitizer = find_sanitizer();
	if (!real.sanitizer)
		find_clock();
	real.find_object = (int (*)(void *, struct dl_find_object *))lookup(
		RTLD_DEFAULT, "_dl_find_object");
}

COLD void real_start(void)
{
#define ROW(name) { #name, offsetof(struct real, name) }
	static const struct {
		const char *name;
		size_t offset;
	} rows[] = {
		ROW(dlopen),
		ROW(dlmopen),
		ROW(dlclose),
		ROW(pthread_create),
		ROW(thrd_create),
		ROW(pthread_setname_np),
		ROW(prctl),
		ROW(sigaction),
		ROW(signal),
		ROW(__sysv_signal),
		ROW(sigset),
		ROW(sigprocmask),
		ROW(pthread_sigmask),
		ROW(sigwait),
		ROW(sigwaitinfo),
		ROW(sigtimedwait),
		ROW(syscall),
		ROW(daemon),
		ROW(_exit),
		ROW(__register_atfork),
		ROW(__cxa_at_quick_exit),
	};
#undef ROW
	void *(*lookup)(void *, const char *);

	if (__atomic_load_n(&real.dlsym, __ATOMIC_ACQUIRE))
		return;
	lookup = (void *(*)(void *, const char *))find_dlsym();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		*(void **)((char *)&real + rows[i].offset) = libc_is_glibc() ?
			lookup(RTLD_NEXT, rows[i].name) :
			dl_symbols_find_next(rows[i].name).function; /* leaves dlerror() alone */
	if (libc_is_glibc())
		find_what_is_glibcs(lookup);
	__atomic_store_n(&real.dlsym, lookup, __ATOMIC_RELEASE);
}
