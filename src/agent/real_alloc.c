#define _GNU_SOURCE
#include "agent/real_alloc.h"

#include <elf.h>
#include <link.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include "agent/libc_kind.h"
#include "base/compiler.h"

/* --- looking up --- */

/* What ld.so has mapped of a library: its dynamic symbols. */
struct symbols {
	const Elf64_Sym *symbols;
	const char *strings;
	const uint32_t *gnu_hash; /* NULL: none */
	const uint32_t *sysv_hash;
	uint64_t bias;
};

/* glibc relocates these entries in place, except the vdso's; musl none. */
static const void *pointer_of(uint64_t bias, const Elf64_Dyn *entry)
{
	return (const void *)(entry->d_un.d_ptr < bias ? entry->d_un.d_ptr + bias :
							 entry->d_un.d_ptr);
}

static struct symbols symbols_of(const Elf64_Dyn *dynamic, uint64_t bias)
{
	struct symbols s = { .bias = bias };

	for (const Elf64_Dyn *d = dynamic; d && d->d_tag != DT_NULL; d++) {
		if (d->d_tag == DT_SYMTAB)
			s.symbols = pointer_of(bias, d);
		else if (d->d_tag == DT_STRTAB)
			s.strings = pointer_of(bias, d);
		else if (d->d_tag == DT_GNU_HASH)
			s.gnu_hash = pointer_of(bias, d);
		else if (d->d_tag == DT_HASH)
			s.sysv_hash = pointer_of(bias, d);
	}
	return s;
}

static void *value_of(const struct symbols *s, uint32_t index, const char *name)
{
	const Elf64_Sym *symbol = &s->symbols[index];

	if (symbol->st_shndx == SHN_UNDEF || ELF64_ST_TYPE(symbol->st_info) != STT_FUNC ||
		strcmp(s->strings + symbol->st_name, name) != 0)
		return NULL;
	return (void *)(symbol->st_value + s->bias);
}

/* DT_GNU_HASH: bucket count, first symbol, Bloom words, shift; Bloom filter; buckets; a hash per
 * symbol, whose lowest bit ends a chain (binutils, elflink.c). */
static void *find_by_gnu_hash(const struct symbols *s, const char *name)
{
	const uint32_t *h = s->gnu_hash, *buckets = h + 4 + 2 * h[2], *chain;
	uint32_t hash = 5381, index;

	for (const char *at = name; *at; at++)
		hash = hash * 33 + (unsigned char)*at;
	if (h[0] == 0)
		return NULL;
	index = buckets[hash % h[0]];
	if (index < h[1])
		return NULL;
	for (chain = buckets + h[0] + index - h[1];; chain++, index++) {
		void *found = (*chain | 1) == (hash | 1) ? value_of(s, index, name) : NULL;

		if (found || (*chain & 1))
			return found;
	}
}

static void *find_among(const struct symbols *s, const char *name)
{
	void *found = NULL;

	if (!s->symbols || !s->strings)
		return NULL;
	if (s->gnu_hash)
		return find_by_gnu_hash(s, name);
	for (uint32_t i = 0; s->sysv_hash && i < s->sysv_hash[1] && !found; i++)
		found = value_of(s, i, name);
	return found;
}

static void *find_in(const struct link_map *map, const char *name)
{
	const struct symbols s = symbols_of(map->l_ld, map->l_addr);

	return find_among(&s, name);
}

/* NULL in musl, too.  Every thread finds the same. */
static struct link_map *own_map(void)
{
	static struct link_map *known;
	struct link_map *own = known;
	Dl_info info;

	if (!own && libc_is_glibc() &&
		dladdr1((void *)own_map, &info, (void **)&own, RTLD_DL_LINKMAP))
		known = own;
	return own;
}

struct definition {
	const struct link_map *map; /* NULL: none */
	void *value;
};

/* Libraries stand in the list in the order of ld.so's search, what dlopen added last. */
static struct definition find_from(const struct link_map *map, const char *name)
{
	struct definition d = { .map = NULL };

	for (; map && !d.value; map = map->l_next)
		d = (struct definition){ .map = map, .value = find_in(map, name) };
	return d.value ? d : (struct definition){ .map = NULL };
}

/* When this library was itself opened by dlopen, the allocator is before it. */
static struct definition find_next(const struct link_map *own, const char *name)
{
	struct definition d = find_from(own->l_next, name);

	for (const struct link_map *map = own->l_prev; map && !d.value; map = map->l_prev)
		d = (struct definition){ .map = map, .value = find_in(map, name) };
	return d;
}

extern const char __ehdr_start HIDDEN; /* of this library */

/* musl's list of libraries, which is in the order of its search. */
struct search {
	const char *name;
	bool is_past_own;
	void *found;
};

static int search_library(struct dl_phdr_info *library, size_t size, void *context)
{
	struct search *search = context;
	struct symbols s;

	(void)size;
	for (size_t i = 0; search->is_past_own && i < library->dlpi_phnum; i++) {
		const Elf64_Phdr *part = &library->dlpi_phdr[i];

		if (part->p_type != PT_DYNAMIC)
			continue;
		s = symbols_of((const void *)(library->dlpi_addr + part->p_vaddr),
			library->dlpi_addr);
		search->found = find_among(&s, search->name);
	}
	if (library->dlpi_addr == (uint64_t)&__ehdr_start)
		search->is_past_own = true;
	return search->found != NULL;
}

void *real_alloc_find_next(const char *name)
{
	const struct link_map *own = own_map();
	struct search search = { .name = name };

	if (own)
		return find_next(own, name).value;
	dl_iterate_phdr(search_library, &search);
	return search.found;
}

static const char *base_name(const struct link_map *map)
{
	const char *slash = strrchr(map->l_name, '/');

	return !map->l_name[0] ? "the program" : slash ? slash + 1 : map->l_name;
}

void *real_alloc_find(const char *library, const char *name)
{
	const struct link_map *map = own_map();

	while (map && map->l_prev)
		map = map->l_prev;
	while (map && strcmp(base_name(map), library) != 0)
		map = map->l_next;
	return map ? find_in(map, name) : NULL;
}

/* --- what is not seen --- */

bool real_alloc_describe_unseen(char *text, size_t size)
{
	const struct link_map *own = own_map(), *head = own;
	struct definition d;

	*text = '\0';
	while (head && head->l_prev)
		head = head->l_prev;
	d = find_from(head, "malloc");
	if (d.map && d.map != own) {
		strncat(text, "no allocation: malloc is that of ", size - 1);
		strncat(text, base_name(d.map), size - 1 - strlen(text));
		return false;
	}
	/* libstdc++'s calls malloc; that of an allocator does not. */
	d = find_from(head, "_Znwm");
	if (d.map && d.map != own && find_in(d.map, "malloc")) {
		strncat(text, "C++'s operator new: it is that of ", size - 1);
		strncat(text, base_name(d.map), size - 1 - strlen(text));
	}
	return true;
}

/* --- until it is known --- */

bool real_alloc_has_own_reallocarray;

static void free_sized_by_free(void *block, size_t size)
{
	real_alloc.free(block);
}

static void free_aligned_sized_by_free(void *block, size_t alignment, size_t size)
{
	real_alloc.free(block);
}

/* Several threads may do this at once: they find the same. */
static COLD void look_up(void)
{
#define ROW(name) { #name, offsetof(struct real_alloc, name) }
	static const struct {
		const char *name;
		size_t offset;
	} rows[] = {
		ROW(malloc),
		ROW(free),
		ROW(calloc),
		ROW(realloc),
		ROW(reallocarray),
		ROW(posix_memalign),
		ROW(aligned_alloc),
		ROW(memalign),
		ROW(valloc),
		ROW(pvalloc),
		ROW(cfree),
		ROW(free_sized),
		ROW(free_aligned_sized),
		ROW(mmap),
		ROW(munmap),
		ROW(mremap),
		ROW(brk),
		ROW(sbrk),
	};
#undef ROW
	struct real_alloc found = { .cfree = NULL };
	const struct link_map *own = own_map();
	struct definition array;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		*(void **)((char *)&found + rows[i].offset) = real_alloc_find_next(rows[i].name);
	if (own) {
		array = find_next(own, "reallocarray");
		real_alloc_has_own_reallocarray =
			array.map && strcmp(base_name(array.map), "libc.so.6") != 0;
	}
	if (!found.cfree)
		found.cfree = found.free;
	if (!found.free_sized)
		found.free_sized = free_sized_by_free;
	if (!found.free_aligned_sized)
		found.free_aligned_sized = free_aligned_sized_by_free;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		__atomic_store_n((void **)((char *)&real_alloc + rows[i].offset),
			*(void **)((char *)&found + rows[i].offset), __ATOMIC_RELEASE);
}

static void *first_malloc(size_t size)
{
	look_up();
	return real_alloc.malloc(size);
}

static void first_free(void *block)
{
	look_up();
	real_alloc.free(block);
}

static void *first_calloc(size_t count, size_t size)
{
	look_up();
	return real_alloc.calloc(count, size);
}

static void *first_realloc(void *block, size_t size)
{
	look_up();
	return real_alloc.realloc(block, size);
}

static void *first_reallocarray(void *block, size_t count, size_t size)
{
	look_up();
	return real_alloc.reallocarray(block, count, size);
}

static int first_posix_memalign(void **block, size_t alignment, size_t size)
{
	look_up();
	return real_alloc.posix_memalign(block, alignment, size);
}

static void *first_aligned_alloc(size_t alignment, size_t size)
{
	look_up();
	return real_alloc.aligned_alloc(alignment, size);
}

static void *first_memalign(size_t alignment, size_t size)
{
	look_up();
	return real_alloc.memalign(alignment, size);
}

static void *first_valloc(size_t size)
{
	look_up();
	return real_alloc.valloc(size);
}

static void *first_pvalloc(size_t size)
{
	look_up();
	return real_alloc.pvalloc(size);
}

static void first_cfree(void *block)
{
	look_up();
	real_alloc.cfree(block);
}

static void first_free_sized(void *block, size_t size)
{
	look_up();
	real_alloc.free_sized(block, size);
}

static void first_free_aligned_sized(void *block, size_t alignment, size_t size)
{
	look_up();
	real_alloc.free_aligned_sized(block, alignment, size);
}

static void *first_mmap(
	void *start, size_t size, int protection, int flags, int descriptor, long offset)
{
	look_up();
	return real_alloc.mmap(start, size, protection, flags, descriptor, offset);
}

static int first_munmap(void *start, size_t size)
{
	look_up();
	return real_alloc.munmap(start, size);
}

static void *first_mremap(void *start, size_t size, size_t new_size, int flags, ...)
{
	va_list arguments;
	void *wanted;

	va_start(arguments, flags);
	wanted = va_arg(arguments, void *);
	va_end(arguments);
	look_up();
	return real_alloc.mremap(start, size, new_size, flags, wanted);
}

static int first_brk(void *end)
{
	look_up();
	return real_alloc.brk(end);
}

static void *first_sbrk(long more)
{
	look_up();
	return real_alloc.sbrk(more);
}

struct real_alloc real_alloc = {
	.malloc = first_malloc,
	.free = first_free,
	.calloc = first_calloc,
	.realloc = first_realloc,
	.reallocarray = first_reallocarray,
	.posix_memalign = first_posix_memalign,
	.aligned_alloc = first_aligned_alloc,
	.memalign = first_memalign,
	.valloc = first_valloc,
	.pvalloc = first_pvalloc,
	.cfree = first_cfree,
	.free_sized = first_free_sized,
	.free_aligned_sized = first_free_aligned_sized,
	.mmap = first_mmap,
	.munmap = first_munmap,
	.mremap = first_mremap,
	.brk = first_brk,
	.sbrk = first_sbrk,
};
