/*
 * Preloaded beside the agent: logs what a program with one thread asks of the allocator, to
 * compare the profile with.  Forwards to the next library, so it may stand before us or behind us.
 *
 * $ALLOC_ORACLE names the log: struct event, one behind the other.  Other programs that it starts
 * are not logged.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct event {
	uint64_t freed, allocated; /* addresses; 0: none */
	uint64_t size; /* bytes asked for */
};

#define EVENTS 4096

static struct event events[EVENTS];
static size_t event_count;
static int log_file = -1;
static pid_t owner;
static volatile bool is_inside; /* the next library's, or libc's dlsym() */

static void flush(void)
{
	if (log_file >= 0 && getpid() == owner &&
		write(log_file, events, event_count * sizeof(*events)) < 0)
		_exit(90);
	event_count = 0;
}

static void note(const void *freed, const void *allocated, size_t size)
{
	const int saved_errno = errno;

	if (event_count == EVENTS)
		flush();
	events[event_count++] = (struct event){ (uint64_t)freed, (uint64_t)allocated, size };
	errno = saved_errno;
}

__attribute__((constructor)) static void open_log(void)
{
	const char *name = getenv("ALLOC_ORACLE");

	owner = getpid();
	log_file = name ? open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
}

/* The hooks are reached until the very end of the process, which is this. */
__attribute__((destructor)) static void close_log(void)
{
	flush();
}

/* What dlsym() allocates before it has found anything. */
static char early[65536] __attribute__((aligned(16)));
static size_t early_used;

static bool is_early(const void *block)
{
	return (const char *)block >= early && (const char *)block < early + sizeof(early);
}

static void *early_block(size_t size)
{
	void *block = early + early_used;

	early_used += (size + 15) & ~(size_t)15;
	return early_used <= sizeof(early) ? block : NULL;
}

static void *find_next(const char *name)
{
	void *found;

	is_inside = true;
	found = dlsym(RTLD_NEXT, name);
	is_inside = false;
	if (!found)
		_exit(91);
	return found;
}

/* The next library's NAME, found at the first call. */
#define NEXT(name)                                                                              \
	static __typeof__(name) *next;                                                          \
	if (!next)                                                                              \
		next = (__typeof__(name) *)find_next(#name)

void *malloc(size_t size)
{
	void *block;

	if (is_inside)
		return early_block(size);
	NEXT(malloc);
	block = next(size);
	if (block)
		note(NULL, block, size);
	return block;
}

void *calloc(size_t count, size_t size)
{
	void *block;

	if (is_inside)
		return early_block(count * size);
	NEXT(calloc);
	block = next(count, size);
	if (block)
		note(NULL, block, count * size);
	return block;
}

void free(void *block)
{
	if (is_inside || is_early(block))
		return;
	NEXT(free);
	if (block)
		note(block, NULL, 0);
	next(block);
}

void *realloc(void *block, size_t size)
{
	void *grown;

	NEXT(realloc);
	grown = next(block, size);
	if (grown || size == 0)
		note(block, grown, size);
	return grown;
}

void *reallocarray(void *block, size_t count, size_t size)
{
	size_t size_bytes;

	if (!__builtin_mul_overflow(count, size, &size_bytes))
		return realloc(block, size_bytes);
	errno = ENOMEM;
	return NULL;
}

int posix_memalign(void **block, size_t alignment, size_t size)
{
	int error;

	NEXT(posix_memalign);
	error = next(block, alignment, size);
	if (error == 0)
		note(NULL, *block, size);
	return error;
}

void *aligned_alloc(size_t alignment, size_t size)
{
	void *block;

	NEXT(aligned_alloc);
	block = next(alignment, size);
	if (block)
		note(NULL, block, size);
	return block;
}

void *memalign(size_t alignment, size_t size);
void *memalign(size_t alignment, size_t size)
{
	void *block;

	NEXT(memalign);
	block = next(alignment, size);
	if (block)
		note(NULL, block, size);
	return block;
}
