/*
 * Allocates in known ways:
 *
 *     allocate doors	every function of the allocator, each called from a function of its own
 *     allocate portable	those of them that every allocator has, and answers alike
 *     allocate maps	mmap, munmap, mremap, sbrk in whole and in part, told as "doors" are
 *     allocate errors	calls that fail, or are odd; what came of them goes to stdout
 *     allocate odd	the same, of such that only glibc's allocator survives
 *     allocate moments	before main and behind it, around fork, at a thread's end, in a handler
 *     allocate sites	eight call sites in eight threads, small and large, kept and freed
 *     allocate idle	64 MiB kept in 1000 blocks, then waits for its stdin to end
 *     allocate fork	1000 blocks kept; a child frees half of them and keeps 100 of its own
 *     allocate clone	the same by a bare system call, behind everybody's back
 *     allocate crowd	40,000 blocks of 16 bytes kept
 *     allocate churn	four threads that allocate, grow and free until they are killed; what they
 *		hold stands in the file TRUTH: bytes of each thread, uint64_t
 *
 * "doors", "moments" and "sites" print the truth, a line per function:
 *     NAME ALLOCATED_OBJECTS ALLOCATED_BYTES IN_USE_OBJECTS IN_USE_BYTES
 * Compiled without optimisation of allocator calls (-fno-builtin).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SITE __attribute__((noipa))

struct truth {
	uint64_t objects, bytes, held_objects, held_bytes;
};

static void took(struct truth *t, size_t size)
{
	t->objects++;
	t->bytes += size;
	t->held_objects++;
	t->held_bytes += size;
}

static void gave(struct truth *t, size_t size)
{
	t->held_objects--;
	t->held_bytes -= size;
}

static void tell(const char *name, const struct truth *t)
{
	printf("%s %llu %llu %llu %llu\n", name, (unsigned long long)t->objects,
		(unsigned long long)t->bytes, (unsigned long long)t->held_objects,
		(unsigned long long)t->held_bytes);
}

static void *volatile keep[200000];
static size_t kept;

static void *hold(void *block)
{
	if (!block)
		abort();
	keep[kept++] = block;
	return block;
}

/* --- doors --- */

#define TIMES 50

/* Each keeps half of its blocks. */
#define DOOR(name, size, call)                                                                  \
	static SITE void door_##name(struct truth *t)                                           \
	{                                                                                       \
		for (int i = 0; i < TIMES; i++) {                                               \
			void *block = call;                                                     \
                                                                                                \
			if (!block)                                                             \
				abort();                                                        \
			took(t, size);                                                          \
			if (i % 2) {                                                            \
				hold(block);                                                    \
			} else {                                                                \
				free(block);                                                    \
				gave(t, size);                                                  \
			}                                                                       \
		}                                                                               \
	}

static void *by_posix_memalign(size_t alignment, size_t size)
{
	void *block = NULL;

	return posix_memalign(&block, alignment, size) ? NULL : block;
}

DOOR(malloc, 1000, malloc(1000))
DOOR(malloc_0, 0, malloc(0))
DOOR(calloc, 7 * 111, calloc(7, 111))
DOOR(realloc_null, 333, realloc(NULL, 333))
DOOR(reallocarray_null, 3 * 50, reallocarray(NULL, 3, 50))
DOOR(aligned_alloc, 128, aligned_alloc(64, 128))
DOOR(memalign, 200, memalign(32, 200))
DOOR(valloc, 5000, valloc(5000))
DOOR(pvalloc, 100, pvalloc(100))
DOOR(strdup, 12, strdup("hello world"))
DOOR(strndup, 6, strndup("hello world", 5))
DOOR(large, 3 << 20, malloc(3 << 20))
DOOR(posix_memalign, 777, by_posix_memalign(4096, 777))

/* Where there are none, free: only we bring them. */
extern void free_sized(void *block, size_t size) __attribute__((weak));
extern void free_aligned_sized(void *block, size_t alignment, size_t size) __attribute__((weak));
extern void cfree(void *block) __attribute__((weak));

static SITE void door_freed(struct truth *t)
{
	for (int i = 0; i < TIMES; i++) {
		void *sized = malloc(901), *aligned = aligned_alloc(64, 128), *old = malloc(33);

		if (!sized || !aligned || !old)
			abort();
		took(t, 901);
		took(t, 128);
		took(t, 33);
		if (free_sized)
			free_sized(sized, 901);
		else
			free(sized);
		if (free_aligned_sized)
			free_aligned_sized(aligned, 64, 128);
		else
			free(aligned);
		if (cfree)
			cfree(old);
		else
			free(old);
		gave(t, 901);
		gave(t, 128);
		gave(t, 33);
	}
}

/* Growing, in place or not, frees the old size and allocates the new one. */
static SITE void door_realloc(struct truth *t)
{
	for (int i = 0; i < TIMES; i++) {
		void *block = NULL;
		size_t size = 0;

		for (size_t next = 100; next < 1000000; next *= 3, size = next / 3) {
			block = realloc(block, next);
			if (!block)
				abort();
			if (size)
				gave(t, size);
			took(t, next);
		}
		block = realloc(block, 50);
		gave(t, size);
		took(t, 50);
		hold(block);
	}
}

/* A block that cannot grow is still there; realloc to 0 frees. */
static SITE void door_realloc_odd(struct truth *t)
{
	for (int i = 0; i < TIMES; i++) {
		void *block = malloc(400);
		volatile size_t too_much = PTRDIFF_MAX;

		took(t, 400);
		if (realloc(block, too_much) || reallocarray(block, too_much, 4) ||
			reallocarray(block, too_much, 1))
			abort();
		if (i % 2) {
			hold(block);
			continue;
		}
		if (realloc(block, 0))
			abort();
		gave(t, 400);
	}
}

static void *free_all(void *list)
{
	void **blocks = list;

	for (int i = 0; i < TIMES; i++)
		free(blocks[i]);
	return NULL;
}

static SITE void door_other_thread(struct truth *t, void **blocks)
{
	for (int i = 0; i < TIMES; i++) {
		blocks[i] = malloc(64);
		took(t, 64);
	}
}

static void with_other_thread(struct truth *t)
{
	void *blocks[TIMES];
	pthread_t thread;

	door_other_thread(t, blocks);
	if (pthread_create(&thread, NULL, free_all, blocks) != 0)
		abort();
	pthread_join(thread, NULL);
	for (int i = 0; i < TIMES; i++)
		gave(t, 64);
}

static void some_doors(bool all)
{
#define ROW(name) { "door_" #name, door_##name }
	static const struct {
		const char *name;
		void (*run)(struct truth *t);
	} rows[] = { ROW(malloc), ROW(malloc_0), ROW(calloc), ROW(realloc_null),
		ROW(reallocarray_null), ROW(aligned_alloc), ROW(memalign), ROW(valloc),
		ROW(pvalloc), ROW(strdup), ROW(strndup), ROW(freed), ROW(large),
		ROW(posix_memalign), ROW(realloc),
		ROW(realloc_odd), { "door_other_thread", with_other_thread } };
#undef ROW

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct truth t = { .objects = 0 };

		/* libc's cfree stays libc's beside another allocator. */
		if (!all && (rows[i].run == door_pvalloc || rows[i].run == door_realloc_odd ||
				    rows[i].run == door_freed))
			continue;
		rows[i].run(&t);
		tell(rows[i].name, &t);
	}
}

static void doors(void)
{
	some_doors(true);
}

static void portable(void)
{
	some_doors(false);
}

/* --- maps --- */

#define PAGE ((size_t)4096)
#define MAPS 20

static void *map_pages(size_t pages, int protection)
{
	void *start = mmap(NULL, pages * PAGE, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (start == MAP_FAILED)
		abort();
	return start;
}

static SITE void map_whole(struct truth *t)
{
	for (int i = 0; i < MAPS; i++) {
		void *start = map_pages(10, PROT_READ | PROT_WRITE);

		took(t, 10 * PAGE);
		if (i % 2) {
			munmap(start, 10 * PAGE);
			gave(t, 10 * PAGE);
		}
	}
}

/* The middle of each is unmapped, which makes two of it; then its beginning, with the page before
 * its second part. */
static SITE void map_parts(struct truth *t)
{
	for (int i = 0; i < MAPS; i++) {
		char *start = map_pages(10, PROT_READ);

		took(t, 10 * PAGE);
		if (munmap(start + 3 * PAGE, 2 * PAGE) || munmap(start, 6 * PAGE))
			abort();
		gave(t, 10 * PAGE);
		t->held_objects++;
		t->held_bytes += 4 * PAGE;
	}
}

static SITE void map_over(struct truth *t)
{
	char *start = map_pages(10, PROT_READ);

	took(t, 10 * PAGE);
	if (mmap(start + 2 * PAGE, 3 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		    0) == MAP_FAILED)
		abort();
	took(t, 3 * PAGE);
	t->held_objects++; /* the first one is two now */
	t->held_bytes -= 3 * PAGE;
}

static SITE void map_grown(struct truth *t)
{
	for (int i = 0; i < MAPS; i++) {
		void *start = map_pages(10, PROT_READ | PROT_WRITE);

		took(t, 10 * PAGE);
		start = mremap(start, 10 * PAGE, 30 * PAGE, MREMAP_MAYMOVE);
		if (start == MAP_FAILED)
			abort();
		gave(t, 10 * PAGE);
		took(t, 30 * PAGE);
	}
}

/* The place stays, empty, beside the one that its pages went to. */
static SITE void map_emptied(struct truth *t)
{
	void *start = map_pages(10, PROT_READ | PROT_WRITE);

	took(t, 10 * PAGE);
	if (mremap(start, 10 * PAGE, 10 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL) ==
		MAP_FAILED)
		abort();
	took(t, 10 * PAGE);
}

/* The middle of a mapping cannot grow where it is: all of it stays, in three parts. */
static SITE void map_stuck(struct truth *t)
{
	char *start = map_pages(10, PROT_READ);

	took(t, 10 * PAGE);
	if (mremap(start + 3 * PAGE, 2 * PAGE, 5 * PAGE, 0) != MAP_FAILED)
		abort();
	t->held_objects += 2;
}

static SITE void map_file(struct truth *t)
{
	int file = memfd_create("file", 0);

	if (ftruncate(file, 10 * (off_t)PAGE) != 0 ||
		mmap64(NULL, 10 * PAGE - 1, PROT_READ, MAP_SHARED, file, 0) == MAP_FAILED)
		abort();
	took(t, 10 * PAGE);
	close(file);
}

/* A range that cannot be unmapped stays; what nobody can touch is not counted. */
static SITE void map_odd(struct truth *t)
{
	char *start = map_pages(10, PROT_READ);

	took(t, 10 * PAGE);
	if (munmap(start + 1, PAGE) == 0 || munmap(start, 0) == 0 ||
		mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED ||
		mremap(start, 10 * PAGE, 20 * PAGE, 1024) != MAP_FAILED)
		abort();
	map_pages(100, PROT_NONE);
}

static SITE void map_break(struct truth *t)
{
	char *before = sbrk(16 * (intptr_t)PAGE);

	took(t, 16 * PAGE);
	if (before == (void *)-1 || brk(before + 8 * PAGE) != 0)
		abort();
	t->held_bytes -= 8 * PAGE;
}

static void maps(void)
{
#define ROW(name) { "map_" #name, map_##name }
	static const struct {
		const char *name;
		void (*run)(struct truth *t);
	} rows[] = { ROW(whole), ROW(parts), ROW(over), ROW(grown), ROW(emptied), ROW(stuck),
		ROW(file), ROW(odd), ROW(break) };
#undef ROW

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct truth t = { .objects = 0 };

		rows[i].run(&t);
		tell(rows[i].name, &t);
	}
}

/* --- errors --- */

static void show(const char *what, const void *block, int error)
{
	printf("%s: %s, errno %d\n", what, block ? "a block" : "NULL", error);
}

#define SHOW(call)                                                                              \
	do {                                                                                    \
		errno = 99;                                                                     \
		void *got = call;                                                               \
		int error = errno;                                                              \
                                                                                                \
		show(#call, got, error);                                                        \
		errno = 77;                                                                     \
		free(got);                                                                      \
		printf("free: errno %d\n", errno);                                              \
	} while (0)

static void errors(void)
{
	volatile size_t most = SIZE_MAX, half = (size_t)1 << 63;
	void *block = &block;

	for (int i = 0; i < 3; i++) {
		SHOW(malloc(0));
		SHOW(malloc(100));
		SHOW(malloc(most));
		SHOW(malloc(half));
		SHOW(malloc(half + 4096));
		SHOW(calloc(most, most));
		SHOW(calloc(half, 2));
		SHOW(calloc(0, most));
		SHOW(realloc(NULL, most));
		SHOW(reallocarray(NULL, half, 2));
		SHOW(aligned_alloc(64, most));
		SHOW(memalign(64, most));
		SHOW(valloc(most - 4096));
		SHOW(malloc(5 << 20));
		free(NULL);
		errno = 55;
		printf("posix_memalign 3: %d\n", posix_memalign(&block, 3, 10));
		printf("posix_memalign most: %d\n", posix_memalign(&block, 64, most));
		printf("errno %d, block %d\n", errno, block == &block);
		block = malloc(1000);
		memset(block, 7, 1000);
		errno = 0;
		printf("realloc most: %d, errno %d\n", realloc(block, most) != NULL, errno);
		printf("still there: %d\n", ((char *)block)[999]);
		block = realloc(block, 5000);
		printf("grown: %d, usable %d\n", ((char *)block)[999],
			malloc_usable_size(block) >= 5000);
		free(block);
		block = &block;
		block = aligned_alloc(4096, 8192);
		printf("aligned: %d\n", (int)((uintptr_t)block % 4096));
		free(block);
		block = &block;
	}
}

static void *no_block(int error)
{
	errno = error;
	return NULL;
}

static void odd(void)
{
	volatile size_t most = SIZE_MAX, half = (size_t)1 << 63, none = 0, three = 3;
	void *block = &block;

	for (int i = 0; i < 3; i++) {
		SHOW(aligned_alloc(none, 10));
		SHOW(aligned_alloc(three, 10));
		SHOW(aligned_alloc(48, 96));
		SHOW(aligned_alloc(4096, none));
		SHOW(aligned_alloc(half, 16));
		SHOW(aligned_alloc(most, 16));
		SHOW(memalign(none, 10));
		SHOW(memalign(48, 10));
		SHOW(memalign(most, 10));
		SHOW(valloc(none));
		SHOW(pvalloc(none));
		SHOW(pvalloc(most));
		SHOW(pvalloc(most - 4096));
		SHOW(realloc(NULL, none));
		SHOW(reallocarray(NULL, none, most));
		SHOW(reallocarray(NULL, most, most));
		SHOW(calloc(none, none));
		SHOW(realloc(malloc(100), none));
		SHOW(reallocarray(malloc(100), none, 10));
		SHOW(no_block(posix_memalign(&block, none, 10)));
		SHOW(no_block(posix_memalign(&block, 4, 10)));
		SHOW(no_block(posix_memalign(&block, 24, 10)));
		printf("block %d\n", block == &block);
		SHOW(posix_memalign(&block, 64, none) ? NULL : block);
		block = &block;
		printf("usable: %d\n", (int)malloc_usable_size(NULL));
	}
}

/* --- moments --- */

#define MOMENT_BYTES 500

/* Two blocks, one of which stays. */
static inline __attribute__((always_inline)) void hold_one_of_two(void)
{
	hold(malloc(MOMENT_BYTES));
	free(malloc(MOMENT_BYTES));
}

#define MOMENT(name)                                                                            \
	static SITE void moment_##name(void)                                                    \
	{                                                                                       \
		hold_one_of_two();                                                              \
	}
MOMENT(constructor)
MOMENT(destructor)
MOMENT(atexit)
MOMENT(prepare)
MOMENT(parent)
MOMENT(child)
MOMENT(handler)
MOMENT(thread_end)

static bool tells_moments;

__attribute__((constructor)) static void begin_moments(int argc, char **argv)
{
	tells_moments = argc == 2 && strcmp(argv[1], "moments") == 0;
	if (tells_moments)
		moment_constructor();
}

__attribute__((destructor)) static void end_moments(void)
{
	if (tells_moments)
		moment_destructor();
}

static void on_signal(int number)
{
	(void)number;
	moment_handler();
}

static void on_thread_end(void *value)
{
	(void)value;
	moment_thread_end();
}

static void *set_key(void *key)
{
	pthread_setspecific(*(pthread_key_t *)key, key);
	return NULL;
}

static void moments(void)
{
	static const char *const names[] = { "constructor", "destructor", "atexit", "prepare",
		"parent", "handler", "thread_end" };
	const struct truth t = { 2, 2 * MOMENT_BYTES, 1, MOMENT_BYTES };
	pthread_t thread;
	pthread_key_t key;
	pid_t child;
	char name[40];

	signal(SIGUSR1, on_signal);
	raise(SIGUSR1);
	if (atexit(moment_atexit) || pthread_atfork(moment_prepare, moment_parent, moment_child) ||
		pthread_key_create(&key, on_thread_end) ||
		pthread_create(&thread, NULL, set_key, &key))
		abort();
	pthread_join(thread, NULL);
	child = fork();
	if (child == 0)
		_exit(0);
	waitpid(child, NULL, 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(name, sizeof(name), "moment_%s", names[i]);
		tell(name, &t);
	}
}

/* --- sites --- */

#define THREADS 8
#define SITES 8

static const struct {
	size_t smallest, largest; /* bytes */
	uint64_t total; /* bytes, of all threads */
	int kept_of_ten;
} sites[SITES] = {
	{ 16, 16, 120 << 20, 0 },
	{ 100, 100, 110 << 20, 10 },
	{ 1024, 1024, 160 << 20, 5 },
	{ 32, 128, 120 << 20, 1 },
	{ 65536, 65536, 400 << 20, 5 },
	{ 16, 262144, 800 << 20, 5 },
	{ 1 << 20, 1 << 20, 800 << 20, 5 },
	{ 10 << 20, 10 << 20, (uint64_t)1600 << 20, 5 },
};

struct worker {
	pthread_t thread;
	uint64_t random;
	struct truth truths[SITES];
};

static uint64_t next_random(struct worker *w)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return w->random;
}

/* Blocks that a thread gives up are freed by the one that comes next to the same place. */
static void *orphans[64];

static void pass_on(struct worker *w, void *block)
{
	free(__atomic_exchange_n(&orphans[next_random(w) % 64], block, __ATOMIC_ACQ_REL));
}

static inline __attribute__((always_inline)) void run_site(struct worker *w, int site)
{
	const size_t smallest = sites[site].smallest, largest = sites[site].largest;
	struct truth *t = &w->truths[site];

	while (t->bytes < sites[site].total / THREADS) {
		size_t size = smallest;
		void *block;

		/* As many of 16 to 32 bytes as of 128 to 256 KiB. */
		if (largest > smallest)
			for (size = smallest << next_random(w) % 15; size > largest / 2;)
				size = smallest << next_random(w) % 15;
		if (largest > smallest)
			size += next_random(w) % size;
		block = malloc(size);
		if (!block)
			abort();
		took(t, size);
		if ((int)(next_random(w) % 10) < sites[site].kept_of_ten)
			continue; /* a leak */
		gave(t, size);
		if (size >= 1 << 20)
			free(block); /* not 64 of them at once */
		else
			pass_on(w, block);
	}
}

#define RUN_SITE(n)                                                                             \
	static SITE void site_##n(struct worker *w)                                             \
	{                                                                                       \
		run_site(w, n);                                                                 \
	}
RUN_SITE(0)
RUN_SITE(1)
RUN_SITE(2)
RUN_SITE(3)
RUN_SITE(4)
RUN_SITE(5)
RUN_SITE(6)
RUN_SITE(7)

static void *work(void *argument)
{
	static void (*const run[SITES])(struct worker *w) = { site_0, site_1, site_2, site_3,
		site_4, site_5, site_6, site_7 };

	for (int i = 0; i < SITES; i++)
		run[i](argument);
	return NULL;
}

static void all_sites(void)
{
	static struct worker workers[THREADS];
	char name[] = "site_0";

	for (int i = 0; i < THREADS; i++) {
		workers[i].random = 88172645463325252u + (uint64_t)i * 7919;
		pthread_create(&workers[i].thread, NULL, work, &workers[i]);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);
	for (int i = 0; i < 64; i++)
		free(orphans[i]);
	for (int site = 0; site < SITES; site++) {
		struct truth all = { .objects = 0 };

		for (int i = 0; i < THREADS; i++) {
			all.objects += workers[i].truths[site].objects;
			all.bytes += workers[i].truths[site].bytes;
			all.held_objects += workers[i].truths[site].held_objects;
			all.held_bytes += workers[i].truths[site].held_bytes;
		}
		name[5] = (char)('0' + site);
		tell(name, &all);
	}
}

/* --- idle --- */

static SITE void idle(void)
{
	for (int i = 0; i < 1000; i++)
		hold(malloc((64 << 20) / 1000));
}

static void wait_idly(void)
{
	char byte;

	idle();
	puts("ready");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		continue;
}

/* --- fork --- */

static SITE void parents(void)
{
	for (int i = 0; i < 1000; i++)
		hold(malloc(500));
}

static SITE void childs(void)
{
	for (int i = 0; i < 100; i++)
		hold(malloc(700));
}

static void two_processes(pid_t (*make)(void))
{
	int status;
	pid_t child;

	parents();
	child = make();
	if (child == 0) {
		for (int i = 0; i < 500; i++)
			free(keep[i]);
		childs();
		exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
		abort();
}

static void fork_once(void)
{
	two_processes(fork);
}

static pid_t bare_clone(void)
{
	return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

static void clone_once(void)
{
	two_processes(bare_clone);
}

/* --- churn --- */

#define CHURNERS 4
#define CHURN_MAX 2000 /* bytes of a block, before it grows */

static uint64_t *held_bytes;

static SITE void churn_once(struct worker *w, void **place, size_t *size, uint64_t *held)
{
	const size_t wanted = 1 + next_random(w) % CHURN_MAX;

	if (*place && next_random(w) % 2) {
		free(*place);
		*place = NULL;
		*held -= *size;
		return;
	}
	*place = realloc(*place, wanted);
	*held += wanted - (*size ? *size : 0);
	*size = wanted;
}

static __attribute__((noreturn)) void *churn(void *argument)
{
	const uintptr_t number = (uintptr_t)argument;
	struct worker w = { .random = 88172645463325252u + number * 7919 };
	static __thread void *places[2000];
	static __thread size_t sizes[2000];

	for (;;) {
		const size_t at = next_random(&w) % 2000;

		if (!places[at])
			sizes[at] = 0;
		churn_once(&w, &places[at], &sizes[at], &held_bytes[number]);
	}
}

static void churn_for_ever(void)
{
	FILE *file = fopen("TRUTH", "w+");
	pthread_t thread;

	if (!file || ftruncate(fileno(file), 4096) != 0)
		abort();
	held_bytes = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);
	if (held_bytes == MAP_FAILED)
		abort();
	for (uintptr_t i = 1; i < CHURNERS; i++)
		if (pthread_create(&thread, NULL, churn, (void *)i) != 0)
			abort();
	puts("ready");
	fflush(stdout);
	churn(NULL);
}

SITE static void crowd(void)
{
	for (int i = 0; i < 40000; i++)
		if (!malloc(16))
			abort();
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} rows[] = { { "doors", doors }, { "portable", portable }, { "maps", maps },
		{ "errors", errors }, { "odd", odd }, { "moments", moments },
		{ "sites", all_sites }, { "idle", wait_idly },
		{ "fork", fork_once }, { "clone", clone_once }, { "crowd", crowd },
		{ "churn", churn_for_ever } };

	for (size_t i = 0; argc == 2 && i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(argv[1], rows[i].name) == 0) {
			rows[i].run();
			return 0;
		}
	fprintf(stderr, "usage: allocate doors|portable|maps|errors|odd|moments|sites|idle|fork|"
			"clone|crowd|churn\n");
	return 2;
}
