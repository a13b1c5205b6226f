#define _GNU_SOURCE
#include "agent/dl_symbols.h"

#include <elf.h>
#include <link.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "agent/libc_kind.h"
#include "agent/loaded_object.h"
#include "base/compiler.h"
#include "base/syscalls.h"

#define PAGE_BYTES UINT64_C(4096)

/* --- one library --- */

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

/* NULL: the one at INDEX is another, or not defined here. */
static const Elf64_Sym *if_named(const struct symbols *s, uint32_t index, const char *name)
{
	const Elf64_Sym *symbol = &s->symbols[index];

	if (symbol->st_shndx == SHN_UNDEF || ELF64_ST_TYPE(symbol->st_info) != STT_FUNC ||
		strcmp(s->strings + symbol->st_name, name) != 0)
		return NULL;
	return symbol;
}

/* DT_GNU_HASH: bucket count, first symbol, Bloom words, shift; Bloom filter; buckets; a hash per
 * symbol, whose lowest bit ends a chain (binutils, elflink.c). */
static const Elf64_Sym *find_by_gnu_hash(const struct symbols *s, const char *name)
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
		const Elf64_Sym *found =
			(*chain | 1) == (hash | 1) ? if_named(s, index, name) : NULL;

		if (found || (*chain & 1))
			return found;
	}
}

static const Elf64_Sym *find_symbol(const struct symbols *s, const char *name)
{
	const Elf64_Sym *found = NULL;

	if (!s->symbols || !s->strings)
		return NULL;
	if (s->gnu_hash)
		return find_by_gnu_hash(s, name);
	for (uint32_t i = 0; s->sysv_hash && i < s->sysv_hash[1] && !found; i++)
		found = if_named(s, i, name);
	return found;
}

static void *find_function(const struct symbols *s, const char *name)
{
	const Elf64_Sym *symbol = find_symbol(s, name);

	return symbol ? (void *)(symbol->st_value + s->bias) : NULL;
}

void *dl_symbols_find_in(const struct link_map *library, const char *name)
{
	const struct symbols s = symbols_of(library->l_ld, library->l_addr);

	return find_function(&s, name);
}

static bool is_one_of(const char *name, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

/* Those that are not hashed, since nobody looks for them here, are the first. */
bool dl_symbols_imports(const struct link_map *library, const char *const *names, size_t count)
{
	const struct symbols s = symbols_of(library->l_ld, library->l_addr);
	const uint32_t symbol_count = s.gnu_hash ? s.gnu_hash[1] : s.sysv_hash ? s.sysv_hash[1] : 0;

	for (uint32_t i = 0; s.symbols && s.strings && i < symbol_count; i++)
		if (s.symbols[i].st_shndx == SHN_UNDEF &&
			is_one_of(s.strings + s.symbols[i].st_name, names, count))
			return true;
	return false;
}

/* --- the libraries in their order --- */

/* Every thread finds the same. */
const struct link_map *dl_symbols_own_library(void)
{
	static struct link_map *known;
	struct link_map *own = known;
	Dl_info info;

	if (!own && libc_is_glibc() &&
		dladdr1((void *)dl_symbols_own_library, &info, (void **)&own, RTLD_DL_LINKMAP))
		known = own;
	return own;
}

const struct link_map *dl_symbols_first_library(void)
{
	const struct link_map *first = dl_symbols_own_library();

	while (first && first->l_prev)
		first = first->l_prev;
	return first;
}

const char *dl_symbols_base_name(const struct link_map *library)
{
	const char *slash = strrchr(library->l_name, '/');

	return !library->l_name[0] ? "the program" : slash ? slash + 1 : library->l_name;
}

/* Libraries stand in the list in the order of ld.so's search, what dlopen added last. */
struct dl_definition dl_symbols_find_from(const struct link_map *library, const char *name)
{
	for (; library; library = library->l_next) {
		void *function = dl_symbols_find_in(library, name);

		if (function)
			return (struct dl_definition){ library, function };
	}
	return (struct dl_definition){ .library = NULL };
}

extern const char __ehdr_start HIDDEN; /* of this library */

static struct symbols symbols_in(const struct dl_phdr_info *library)
{
	for (size_t i = 0; i < library->dlpi_phnum; i++) {
		const Elf64_Phdr *part = &library->dlpi_phdr[i];

		if (part->p_type == PT_DYNAMIC)
			return symbols_of((const void *)(library->dlpi_addr + part->p_vaddr),
				library->dlpi_addr);
	}
	return (struct symbols){ .bias = library->dlpi_addr };
}

/* musl's list of libraries, which is in the order of its search. */
struct search {
	const char *name;
	bool is_past_own;
	void *found;
};

static int search_library(struct dl_phdr_info *library, size_t size, void *context)
{
	struct search *search = context;
	const struct symbols s = symbols_in(library);

	(void)size;
	if (search->is_past_own)
		search->found = find_function(&s, search->name);
	if (library->dlpi_addr == (uint64_t)&__ehdr_start)
		search->is_past_own = true;
	return search->found != NULL;
}

struct dl_definition dl_symbols_find_behind(const char *name)
{
	const struct link_map *own = dl_symbols_own_library();
	struct search search = { .name = name };

	if (own)
		return dl_symbols_find_from(own->l_next, name);
	dl_iterate_phdr(search_library, &search);
	return (struct dl_definition){ .function = search.found };
}

struct dl_definition dl_symbols_find_next(const char *name)
{
	const struct link_map *own = dl_symbols_own_library();
	struct dl_definition d = dl_symbols_find_behind(name);

	for (const struct link_map *at = own ? own->l_prev : NULL; at && !d.function;
		at = at->l_prev)
		d = (struct dl_definition){ at, dl_symbols_find_in(at, name) };
	return d;
}

void *dl_symbols_find_by_file(const char *library, const char *name)
{
	const struct link_map *at = dl_symbols_first_library();

	while (at && strcmp(dl_symbols_base_name(at), library) != 0)
		at = at->l_next;
	return at ? dl_symbols_find_in(at, name) : NULL;
}

/* --- where they lie --- */

struct range_search {
	const char *name;
	struct dl_range *ranges;
	size_t count, count_max;
};

static int note_range(struct dl_phdr_info *library, size_t size, void *context)
{
	struct range_search *search = context;
	const struct symbols s = symbols_in(library);
	struct loaded_object object = {
		.bias = library->dlpi_addr,
		.headers = library->dlpi_phdr,
		.header_count = library->dlpi_phnum,
	};

	(void)size;
	if (library->dlpi_addr == (uint64_t)&__ehdr_start || !find_symbol(&s, search->name))
		return 0;
	object_find_range(&object);
	search->ranges[search->count++] =
		(struct dl_range){ object.map_start, object.map_end };
	return search->count == search->count_max;
}

size_t dl_symbols_find_ranges(const char *name, struct dl_range *ranges, size_t count_max)
{
	struct range_search search = { name, ranges, .count_max = count_max };

	dl_iterate_phdr(note_range, &search);
	return search.count;
}

/* --- ours, taken back --- */

static long protect(uint64_t start, uint64_t end, int protection)
{
	return raw_syscall3(SYS_mprotect, (long)start, (long)(end - start), protection);
}

/* ld.so, as musl's, passes over a symbol without a value, though its hash is found.  The symbols
 * lie in a segment without code (-z separate-code). */
void dl_symbols_withdraw(const char *const *names, size_t count)
{
	const struct symbols own = symbols_of(_DYNAMIC, (uint64_t)&__ehdr_start);
	Elf64_Sym *found[DL_SYMBOLS_WITHDRAWN_MAX];
	uint64_t start = UINT64_MAX, end = 0;
	static bool is_begun;

	if (count > ARRAY_SIZE(found) || __atomic_exchange_n(&is_begun, true, __ATOMIC_RELAXED))
		return;
	for (size_t i = 0; i < count; i++) {
		const uint64_t at = (uint64_t)find_symbol(&own, names[i]);

		found[i] = (Elf64_Sym *)at;
		if (at && at < start)
			start = at;
		if (at && at + sizeof(Elf64_Sym) > end)
			end = at + sizeof(Elf64_Sym);
	}
	start &= ~(PAGE_BYTES - 1);
	end = (end + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
	if (start >= end || protect(start, end, PROT_READ | PROT_WRITE) < 0)
		return;
	for (size_t i = 0; i < count; i++) {
		if (!found[i])
			continue;
		__atomic_store_n(&found[i]->st_value, 0, __ATOMIC_RELEASE);
		found[i]->st_shndx = SHN_UNDEF;
	}
	protect(start, end, PROT_READ);
}
