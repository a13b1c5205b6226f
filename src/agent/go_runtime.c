#define _GNU_SOURCE
#include "agent/go_runtime.h"

#include <elf.h>
#include <string.h>

#include "agent/threads.h"
#include "base/compiler.h"
#include "base/syscalls.h"

/* Words of thread-local memory, at the same distance from the thread pointer in each thread. */
struct place {
	const struct go_layout *layout;
	int64_t first; /* bytes from the thread pointer */
	uint32_t word_count;
	uint32_t searches_left;
	int64_t found; /* the one of them; 0: not known yet */
};

#define PLACES_MAX 8
#define WORDS_MAX 512 /* of the program's thread-local memory that are searched */
#define SEARCHES_MAX 1000 /* in threads that may not be Go's */

static struct place places[PLACES_MAX];
uint32_t go_place_count;

static struct spool_writer *spool; /* NULL: not started */
static bool program_is_go; /* so its runtime is that of all plugins */

void go_runtime_start(struct spool_writer *to)
{
	spool = to;
}

void go_runtime_restart_in_child(struct spool_writer *childs)
{
	if (spool)
		spool = childs;
}

static uint64_t thread_pointer(void)
{
	uint64_t pointer;

	__asm__("movq %%fs:0, %0" : "=r"(pointer)); /* psABI: it points to itself */
	return pointer;
}

/* --- what a library says of itself --- */

#define BUILD_INFO_ALIGN 16
#define BUILD_INFO_HEADER 32
#define BUILD_INFO_FLAGS 15 /* offset */
#define BUILD_INFO_INLINE 2 /* since Go 1.18: length (one byte of it) and version follow */

static const char build_info_magic[] = "\xff Go buildinf:";

/* Go: debug/buildinfo.  NULL: not there. */
static const uint8_t *find_build_info(const uint8_t *start, const uint8_t *end)
{
	start += -(uint64_t)start % BUILD_INFO_ALIGN;
	for (; start + BUILD_INFO_HEADER + 1 < end; start += BUILD_INFO_ALIGN)
		if (memcmp(start, build_info_magic, sizeof(build_info_magic) - 1) == 0)
			return start;
	return NULL;
}

/* Of the Go that has built O.  It lies among the data that are writable and stay so. */
static const char *find_version(const struct loaded_object *o, size_t *size)
{
	const uint8_t *info = NULL, *end = NULL;
	uint64_t relro_end = 0;

	*size = 0;
	for (size_t i = 0; i < o->header_count; i++)
		if (o->headers[i].p_type == PT_GNU_RELRO)
			relro_end = o->headers[i].p_vaddr + o->headers[i].p_memsz;
	for (size_t i = 0; i < o->header_count && !info; i++) {
		const Elf64_Phdr *h = &o->headers[i];
		uint64_t start = h->p_vaddr;

		if (h->p_type != PT_LOAD || !(h->p_flags & PF_W))
			continue;
		if (relro_end > start && relro_end <= h->p_vaddr + h->p_filesz)
			start = relro_end;
		end = (const uint8_t *)(h->p_vaddr + h->p_filesz + o->bias);
		info = find_build_info((const uint8_t *)(start + o->bias), end);
	}
	if (!info || !(info[BUILD_INFO_FLAGS] & BUILD_INFO_INLINE) ||
		info[BUILD_INFO_HEADER] > end - info - BUILD_INFO_HEADER - 1)
		return "";
	*size = info[BUILD_INFO_HEADER];
	return (const char *)info + BUILD_INFO_HEADER + 1;
}

static void tell_unknown(const char *version, size_t size)
{
	static bool is_told;
	char text[64];

	if (is_told)
		return;
	is_told = true;
	if (size == 0)
		size = sizeof("go") - 1, version = "go"; /* before 1.18 */
	if (size >= sizeof(text))
		size = sizeof(text) - 1;
	memcpy(text, version, size);
	text[size] = '\0';
	spool_append_text(spool, SPOOL_TEXT_GO_UNKNOWN, text);
}

static void add_place(const struct go_layout *layout, int64_t first, uint64_t size)
{
	const uint64_t word_count = size / 8 < WORDS_MAX ? size / 8 : WORDS_MAX;

	for (uint32_t i = 0; i < go_place_count; i++)
		if (places[i].first == first)
			return;
	if (go_place_count == PLACES_MAX)
		return;
	places[go_place_count] = (struct place){ .layout = layout,
		.first = first,
		.word_count = (uint32_t)word_count,
		.searches_left = SEARCHES_MAX,
		.found = word_count == 1 ? first : 0 };
	__atomic_store_n(&go_place_count, go_place_count + 1, __ATOMIC_RELEASE);
}

static void add_programs_place(const struct loaded_object *o, const struct go_layout *layout)
{
	for (size_t i = 0; i < o->header_count; i++)
		if (o->headers[i].p_type == PT_TLS && o->tls && (uint64_t)o->tls % 8 == 0)
			add_place(layout, (int64_t)((uint64_t)o->tls - thread_pointer()),
				o->headers[i].p_memsz);
}

/* The GOT tells the distance of what is reached through it: of a variable of C's, too. */
static void add_librarys_places(const struct loaded_object *o, const struct go_layout *layout)
{
	const uint64_t size = object_find_dynamic(o, DT_RELASZ);
	const Elf64_Rela *relocations = object_at(o, object_find_dynamic(o, DT_RELA), size);

	if (!relocations)
		return;
	for (uint64_t i = object_find_dynamic(o, DT_RELACOUNT); i < size / sizeof(*relocations);
		i++) {
		const Elf64_Rela *r = &relocations[i];
		const int64_t *place = object_at(o, r->r_offset, sizeof(*place));

		if (ELF64_R_TYPE(r->r_info) == R_X86_64_TPOFF64 && place && *place < 0 &&
			*place % 8 == 0)
			add_place(layout, *place, 8);
	}
}

/* It is new. */
static bool see(const struct loaded_object *o)
{
	static uint64_t seen[PLACES_MAX]; /* by map_start: Go's libraries are not unloaded */
	static uint32_t seen_count;

	for (uint32_t i = 0; i < seen_count; i++)
		if (seen[i] == o->map_start)
			return false;
	if (seen_count == PLACES_MAX)
		return false;
	seen[seen_count++] = o->map_start;
	return true;
}

void go_runtime_add(const struct loaded_object *o)
{
	const struct go_layout *layout;
	const char *version;
	size_t size;

	if (!spool || !spool->header || program_is_go || !see(o))
		return;
	program_is_go = o->flags & SPOOL_MODULE_MAIN;
	version = find_version(o, &size);
	layout = go_layout_find(version, size);
	if (!layout)
		tell_unknown(version, size);
	else if (program_is_go)
		add_programs_place(o, layout);
	else
		add_librarys_places(o, layout);
}

/* --- samples --- */

static uint64_t read_or_0(struct stack_memory *memory, uint64_t address)
{
	uint64_t word;

	return address % 8 == 0 && stack_memory_read(memory, address, &word) ? word : 0;
}

/* The runtime.m of G, if that is one of this thread's: user's, scheduler's or signals'; else 0. */
static uint64_t own_m(struct stack_memory *memory, const struct go_layout *layout, uint64_t g)
{
	const uint64_t m = g ? read_or_0(memory, g + GO_LAYOUT_G_M) : 0;
	const uint64_t tid =
		thread_self.tid ? thread_self.tid : (uint64_t)raw_syscall1(SYS_gettid, 0);

	return m && read_or_0(memory, m + layout->m_procid) == tid ? m : 0;
}

static uint64_t word_at(int64_t place)
{
	uint64_t word;

	memcpy(&word, (const void *)(thread_pointer() + (uint64_t)place), sizeof(word));
	return word;
}

/* Several words: find out which.  Threads that find it at the same time find the same. */
static uint64_t search(struct stack_memory *memory, struct place *p)
{
	if (__atomic_fetch_sub(&p->searches_left, 1, __ATOMIC_RELAXED) - 1 >= SEARCHES_MAX) {
		__atomic_store_n(&p->searches_left, 0, __ATOMIC_RELAXED);
		return 0;
	}
	for (uint32_t i = 0; i < p->word_count; i++) {
		const int64_t place = p->first + 8 * (int64_t)i;
		const uint64_t m = own_m(memory, p->layout, word_at(place));

		if (!m)
			continue;
		__atomic_store_n(&p->found, place, __ATOMIC_RELAXED);
		return m;
	}
	return 0;
}

static uint64_t find_m(struct stack_memory *memory, struct place *p)
{
	const int64_t found = __atomic_load_n(&p->found, __ATOMIC_RELAXED);

	return LIKELY(found) ? own_m(memory, p->layout, word_at(found)) : search(memory, p);
}

uint64_t go_runtime_labels(struct stack_memory *memory, enum go_label_form *form)
{
	const uint32_t count = __atomic_load_n(&go_place_count, __ATOMIC_ACQUIRE);

	for (uint32_t i = 0; i < count; i++) {
		const struct go_layout *layout = places[i].layout;
		const uint64_t m = find_m(memory, &places[i]);
		const uint64_t goroutine = m ? read_or_0(memory, m + layout->m_curg) : 0;

		if (!goroutine || read_or_0(memory, goroutine + GO_LAYOUT_G_M) != m)
			continue;
		*form = layout->form;
		return read_or_0(memory, goroutine + layout->g_labels);
	}
	return 0;
}
