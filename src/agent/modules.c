#define _GNU_SOURCE
#include "agent/modules.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/loaded_object.h"
#include "agent/real.h"
#include "agent/threads.h"
#include "base/hash.h"
#include "base/monotonic.h"
#include "base/syscalls.h"

#define MODULES_MAX 16384
#define INSTANCES_MAX 16384 /* fits the unwinder's 16 bits */
#define MAP_BUFFERS 8
#define COPY_IN_HANDLER_MAX ((size_t)256 << 10) /* bytes */
#define LOCK_TRIES 1000 /* in a handler: some microseconds */
#define LOCK_YIELDS 10000 /* elsewhere */
#define HANDLES_KNOWN 256

static struct module modules[MODULES_MAX];
struct module_instance module_instances[INSTANCES_MAX];
static struct module_map buffers[MAP_BUFFERS];
static struct module_map *current = &buffers[0];
static uint32_t module_count, instance_count;
static uint64_t epoch;
static struct spool_writer *spool;
static bool copies_pending;
static const void *handles_known[HANDLES_KNOWN]; /* by address: dlsym's fast way out */

/* --- one writer at a time --- */

static uint32_t writer_lock;

static bool try_lock(void)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		if (__atomic_exchange_n(&writer_lock, 1, __ATOMIC_ACQUIRE) == 0)
			return true;
		__builtin_ia32_pause();
	}
	return false;
}

static void unlock(void)
{
	__atomic_store_n(&writer_lock, 0, __ATOMIC_RELEASE);
}

/* Outside handlers, with signals blocked. */
static bool lock_with_patience(void)
{
	for (int i = 0; i < LOCK_YIELDS; i++) {
		if (try_lock())
			return true;
		raw_syscall1(SYS_sched_yield, 0);
	}
	return false;
}

/* Outside handlers: no signal may interrupt the holder, or a handler of ours on this thread
 * would find the lock taken for good. */
static bool lock_blocking_signals(uint64_t *old_mask)
{
	const uint64_t all = ~(uint64_t)0;

	raw_syscall4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, (long)old_mask, sizeof(all));
	if (lock_with_patience())
		return true;
	raw_syscall4(SYS_rt_sigprocmask, SIG_SETMASK, (long)old_mask, 0, sizeof(all));
	return false;
}

static void unlock_restoring_signals(const uint64_t *old_mask)
{
	unlock();
	raw_syscall4(SYS_rt_sigprocmask, SIG_SETMASK, (long)old_mask, 0, sizeof(*old_mask));
}

/* --- maps --- */

struct module_map *modules_enter(void)
{
	for (;;) {
		struct module_map *map = __atomic_load_n(&current, __ATOMIC_SEQ_CST);

		__atomic_fetch_add(&map->readers, 1, __ATOMIC_SEQ_CST);
		if (map == __atomic_load_n(&current, __ATOMIC_SEQ_CST))
			return map;
		/* Replaced meanwhile; its buffer may be in a writer's hands. */
		__atomic_fetch_sub(&map->readers, 1, __ATOMIC_SEQ_CST);
	}
}

void modules_leave(struct module_map *map)
{
	__atomic_fetch_sub(&map->readers, 1, __ATOMIC_RELEASE);
}

const struct module_span *module_map_find(const struct module_map *map, uint64_t pc)
{
	uint32_t low = 0, high = map->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (map->spans[middle].end <= pc)
			low = middle + 1;
		else
			high = middle;
	}
	return low < map->count && map->spans[low].start <= pc ? &map->spans[low] : NULL;
}

uint64_t modules_epoch(void)
{
	return __atomic_load_n(&epoch, __ATOMIC_ACQUIRE);
}

static struct module_map *free_buffer(void)
{
	for (size_t i = 0; i < MAP_BUFFERS; i++)
		if (&buffers[i] != current &&
			__atomic_load_n(&buffers[i].readers, __ATOMIC_SEQ_CST) == 0)
			return &buffers[i];
	return NULL;
}

static bool overlaps(const struct module_span *a, const struct module_span *b)
{
	return a->start < b->end && b->start < a->end;
}

static void mark_unloaded(struct module_instance *instance)
{
	struct module *m = instance->module;

	instance->is_live = false;
	__atomic_fetch_add(&epoch, 1, __ATOMIC_RELEASE);
	if (m->has_record && spool->header) {
		struct spool_module *record =
			(struct spool_module *)(spool->journal + m->record_offset);

		__atomic_store_n(&record->last_unload_ns, monotonic_ns(), __ATOMIC_RELAXED);
		__atomic_fetch_add(&record->unloads, 1, __ATOMIC_RELAXED);
	}
}

static void insert_span(struct module_map *map, const struct module_span *span)
{
	uint32_t at = map->count++;

	for (; at > 0 && map->spans[at - 1].start > span->start; at--)
		map->spans[at] = map->spans[at - 1];
	map->spans[at] = *span;
}

/* Publish a map of the live instances plus NEW_SPANS.  What a new one covers has been unloaded
 * without our knowing.  False: no buffer or no room; nothing has changed. */
static bool publish(const struct module_span *new_spans, size_t new_count)
{
	struct module_map *map = free_buffer();

	if (!map || current->count + new_count > MODULE_SPANS_MAX)
		return false;
	for (uint32_t i = 0; i < current->count; i++)
		for (size_t n = 0; n < new_count; n++)
			if (overlaps(&current->spans[i], &new_spans[n]) &&
				module_instances[current->spans[i].instance].is_live)
				mark_unloaded(&module_instances[current->spans[i].instance]);
	map->count = 0;
	for (uint32_t i = 0; i < current->count; i++)
		if (module_instances[current->spans[i].instance].is_live)
			map->spans[map->count++] = current->spans[i];
	for (size_t n = 0; n < new_count; n++)
		insert_span(map, &new_spans[n]);
	__atomic_store_n(&current, map, __ATOMIC_SEQ_CST);
	return true;
}

static bool copy_unwind(struct module *m)
{
	long copy = raw_syscall6(SYS_mmap, 0, (long)m->unwind.size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (copy < 0 && copy > -4096)
		return false;
	memcpy((void *)copy, m->unwind.data, m->unwind.size);
	__atomic_store_n(&m->unwind.data, (const uint8_t *)copy, __ATOMIC_RELEASE);
	m->unwind_in_place = false;
	return true;
}

/* --- registering --- */

static struct module *find_module(const struct build_id *id, uint64_t fingerprint)
{
	for (uint32_t i = 0; i < module_count; i++) {
		struct module *m = &modules[i];

		if (id->size ? build_id_equal(&m->build_id, id) :
			       m->build_id.size == 0 && m->fingerprint == fingerprint)
			return m;
	}
	return NULL;
}

static uint64_t fingerprint_of(const char *path, const struct cfi_table *unwind)
{
	uint64_t hash = hash_bytes(path, strlen(path));

	return unwind->data ? hash_add(hash, hash_bytes(unwind->data, unwind->size)) : hash;
}

static void note_load(struct module *m)
{
	struct spool_module *record = (struct spool_module *)(spool->journal + m->record_offset);

	if (!m->has_record)
		return;
	__atomic_store_n(&record->last_load_ns, monotonic_ns(), __ATOMIC_RELAXED);
	__atomic_fetch_add(&record->loads, 1, __ATOMIC_RELAXED);
}

static void record_module(struct module *m, const struct loaded_object *o,
	const struct spool_segment *segments, size_t segment_count, const char *path)
{
	struct spool_module record = {
		.id = m->id,
		.flags = m->flags,
		.first_bias = o->bias,
		.build_id_size = m->build_id.size,
		.path_length = (uint32_t)strlen(path),
		.segment_count = (uint32_t)segment_count,
	};
	struct spool_module *written;
	const char *names = "";

	record.names_length = (uint32_t)object_find_names(o, &names);
	memcpy(record.build_id, m->build_id.bytes, m->build_id.size);
	written = spool_append_module(spool, &record, segments, path, names);
	if (!written)
		return;
	m->has_record = true;
	m->record_offset = (uint64_t)((char *)written - spool->journal);
}

static struct module *new_module(const struct loaded_object *o, const struct build_id *id,
	bool is_go, const struct cfi_table *unwind, const struct spool_segment *segments,
	size_t segment_count, bool in_handler)
{
	const char *path = object_find_path(o);
	uint64_t fingerprint = id->size ? 0 : fingerprint_of(path, unwind);
	struct module *m = find_module(id, fingerprint);

	if (m || module_count == MODULES_MAX)
		return m;
	m = &modules[module_count];
	*m = (struct module){
		.unwind = *unwind,
		.id = (uint16_t)(module_count + 1),
		.flags = o->flags | (is_go ? SPOOL_MODULE_GO : 0),
		.build_id = *id,
		.fingerprint = fingerprint,
	};
	record_module(m, o, segments, segment_count, path);
	if (!m->has_record)
		return NULL;
	module_count++;
	if (unwind->data && (m->flags & SPOOL_MODULE_DLOPENED)) {
		m->unwind_in_place = true;
		if ((in_handler && unwind->size > COPY_IN_HANDLER_MAX) || !copy_unwind(m))
			copies_pending = true;
	}
	return m;
}

/* The same place again, else a fresh one, else one whose library is long gone. */
static struct module_instance *new_instance(const struct module *m, uint64_t bias)
{
	static uint32_t recycled;

	for (uint32_t i = 0; i < instance_count; i++)
		if (!module_instances[i].is_live && module_instances[i].module == m &&
			module_instances[i].bias == bias)
			return &module_instances[i];
	if (instance_count < INSTANCES_MAX)
		return &module_instances[instance_count++];
	for (uint32_t i = 0; i < INSTANCES_MAX; i++) {
		recycled = (recycled + 1) % INSTANCES_MAX;
		if (!module_instances[recycled].is_live)
			return &module_instances[recycled];
	}
	return NULL;
}

/* Under the lock.  True: the map now covers O. */
static bool add_object(struct loaded_object *o, bool in_handler)
{
	struct spool_segment segments[OBJECT_SEGMENTS_MAX];
	struct module_span spans[OBJECT_SEGMENTS_MAX];
	size_t segment_count = object_find_segments(o, segments);
	struct module_instance *instance;
	struct cfi_table unwind;
	struct build_id id;
	struct module *m;
	bool is_go;

	if (segment_count == 0 || !spool->header)
		return false;
	object_find_build_id(o, &id, &is_go);
	object_find_unwind(o, &unwind);
	m = new_module(o, &id, is_go, &unwind, segments, segment_count, in_handler);
	instance = m ? new_instance(m, o->bias) : NULL;
	if (!instance) {
		spool_count(spool, SPOOL_COUNT_MODULES_DROPPED, 1);
		return false;
	}
	/* A handler still in an older map may be reading a reused one: BIAS and MODULE are then
	 * what they were. */
	instance->bias = o->bias;
	instance->module = m;
	instance->map_start = o->map_start;
	instance->map_end = o->map_end;
	instance->link_map = o->link_map;
	instance->unwind_header = o->unwind_header;
	for (size_t i = 0; i < segment_count; i++)
		spans[i] = (struct module_span){
			.start = segments[i].vaddr + o->bias,
			.end = segments[i].vaddr + segments[i].size + o->bias,
			.instance = (uint32_t)(instance - module_instances),
		};
	if (!publish(spans, segment_count))
		return false;
	/* From the moment the map is out its instances are only read; this one is marked live
	 * behind it because publish() drops what is not live. */
	instance->is_live = true;
	note_load(m);
	return true;
}

/* --- finding --- */

static int add_at_start(struct dl_phdr_info *info, size_t info_size, void *data)
{
	const uint64_t vdso = getauxval(AT_SYSINFO_EHDR);
	struct loaded_object o = {
		.name = info->dlpi_name ? info->dlpi_name : "",
		.bias = info->dlpi_addr,
		.headers = info->dlpi_phdr,
		.header_count = info->dlpi_phnum,
	};
	struct dl_find_object found;
	bool *seen_main = data;

	object_find_range(&o);
	if (!*seen_main)
		o.flags |= SPOOL_MODULE_MAIN; /* the program comes first: dl_iterate_phdr(3) */
	*seen_main = true;
	if (vdso >= o.map_start && vdso < o.map_end)
		o.flags |= SPOOL_MODULE_VDSO;
	if (o.bias && o.bias == getauxval(AT_BASE))
		o.flags |= SPOOL_MODULE_LOADER;
	/* One that another constructor has dlopen'ed before ours may go again. */
	if (real.find_object && real.find_object((void *)o.map_start, &found) == 0) {
		o.link_map = found.dlfo_link_map;
		o.unwind_header = found.dlfo_eh_frame;
		o.map_start = (uint64_t)found.dlfo_map_start;
		o.map_end = (uint64_t)found.dlfo_map_end;
	}
	if ((uint64_t)&modules >= o.map_start && (uint64_t)&modules < o.map_end)
		o.flags |= SPOOL_MODULE_AGENT;
	add_object(&o, false);
	return 0;
}

void modules_start(struct spool_writer *to)
{
	bool seen_main = false;

	spool = to;
	dl_iterate_phdr(add_at_start, &seen_main);
}

void modules_hold(void)
{
	thread_self.holds_modules = lock_with_patience();
}

void modules_release(void)
{
	if (thread_self.holds_modules)
		unlock();
	thread_self.holds_modules = false;
}

void modules_restart_in_child(struct spool_writer *to)
{
	spool = to;
	/* Threads that were inside did not come along. */
	for (size_t i = 0; i < MAP_BUFFERS; i++)
		if (buffers[i].readers) /* a page not written to is not copied */
			buffers[i].readers = 0;
	thread_self.holds_modules = false;
	unlock();
}

/* The object that _dl_find_object found, which cannot go away while this thread runs in it or
 * holds a handle to it.  False: it has no header in memory. */
static bool describe_found(const struct dl_find_object *found, struct loaded_object *o)
{
	const Elf64_Ehdr *elf = found->dlfo_map_start;
	const struct link_map *map = found->dlfo_link_map;

	*o = (struct loaded_object){
		.name = map->l_name ? map->l_name : "",
		.bias = map->l_addr,
		.map_start = (uint64_t)found->dlfo_map_start,
		.map_end = (uint64_t)found->dlfo_map_end,
		.link_map = map,
		.unwind_header = found->dlfo_eh_frame,
		.flags = SPOOL_MODULE_DLOPENED,
	};
	if (o->map_end - o->map_start < sizeof(*elf) ||
		memcmp(elf->e_ident, ELFMAG, SELFMAG) != 0 ||
		elf->e_phentsize != sizeof(Elf64_Phdr) ||
		elf->e_phoff > o->map_end - o->map_start ||
		elf->e_phnum * sizeof(Elf64_Phdr) > o->map_end - o->map_start - elf->e_phoff)
		return false;
	o->headers = (const Elf64_Phdr *)((const char *)elf + elf->e_phoff);
	o->header_count = elf->e_phnum;
	return true;
}

bool modules_learn_pc(uint64_t pc)
{
	struct dl_find_object found;
	struct loaded_object o;
	bool learned;

	if (!real.find_object || real.find_object((void *)pc, &found) != 0 ||
		!describe_found(&found, &o) || !try_lock())
		return false;
	/* Another thread may have been here first. */
	learned = module_map_find(current, pc) || add_object(&o, true);
	unlock();
	return learned;
}

static const void **known_slot(const void *handle)
{
	return &handles_known[hash_mix((uint64_t)handle) % HANDLES_KNOWN];
}

/* A library closed by another thread a moment ago may have lain at the same place, with its
 * link_map at the same address: only the build-ID tells. */
static bool is_registered(const struct loaded_object *o)
{
	struct build_id id;
	bool is_go;

	object_find_build_id(o, &id, &is_go);
	for (uint32_t i = 0; i < instance_count; i++) {
		const struct module_instance *instance = &module_instances[i];

		if (!instance->is_live || instance->map_start != o->map_start)
			continue;
		if (id.size || instance->module->build_id.size)
			return build_id_equal(&instance->module->build_id, &id);
		return instance->link_map == o->link_map &&
			instance->unwind_header == o->unwind_header &&
			instance->map_end == o->map_end;
	}
	return false;
}

static void copy_pending(void)
{
	if (!copies_pending)
		return;
	copies_pending = false;
	for (uint32_t i = 0; i < module_count; i++)
		if (modules[i].unwind_in_place && !copy_unwind(&modules[i]))
			copies_pending = true;
}

bool modules_know_handle(const void *handle)
{
	return __atomic_load_n(known_slot(handle), __ATOMIC_RELAXED) == handle ||
		handle == RTLD_DEFAULT || handle == RTLD_NEXT;
}

void modules_learn_handle(void *handle)
{
	const struct link_map *map = handle;
	struct dl_find_object found;
	struct loaded_object o;
	uint64_t old_mask;

	if (!real.find_object)
		return;
	/* A handle is its link_map (glibc); its dynamic section lies inside the object. */
	if (real.find_object(map->l_ld, &found) != 0 || found.dlfo_link_map != map ||
		!describe_found(&found, &o) || !lock_blocking_signals(&old_mask))
		return;
	copy_pending();
	if (is_registered(&o) || add_object(&o, false))
		__atomic_store_n(known_slot(handle), handle, __ATOMIC_RELAXED);
	unlock_restoring_signals(&old_mask);
}

static void forget_handles(void)
{
	for (size_t i = 0; i < HANDLES_KNOWN; i++)
		__atomic_store_n(&handles_known[i], NULL, __ATOMIC_RELAXED);
}

void modules_before_dlclose(void)
{
	uint64_t old_mask;

	/* Before the close: afterwards another thread may have a new library with the same
	 * handle. */
	forget_handles();
	if (!copies_pending || !lock_blocking_signals(&old_mask))
		return;
	copy_pending();
	unlock_restoring_signals(&old_mask);
}

static bool is_gone(const struct module_instance *instance)
{
	struct dl_find_object found;

	return real.find_object((void *)instance->map_start, &found) != 0 ||
		found.dlfo_link_map != instance->link_map ||
		found.dlfo_eh_frame != instance->unwind_header ||
		(uint64_t)found.dlfo_map_start != instance->map_start ||
		(uint64_t)found.dlfo_map_end != instance->map_end;
}

void modules_after_dlclose(void)
{
	bool some_gone = false;
	uint64_t old_mask;

	if (!real.find_object || !lock_blocking_signals(&old_mask))
		return;
	for (uint32_t i = 0; i < instance_count; i++)
		if (module_instances[i].is_live && module_instances[i].link_map &&
			is_gone(&module_instances[i])) {
			mark_unloaded(&module_instances[i]);
			some_gone = true;
		}
	/* When the map cannot be replaced now the next one drops the dead spans. */
	if (some_gone)
		publish(NULL, 0);
	unlock_restoring_signals(&old_mask);
}
