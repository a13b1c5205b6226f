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

#include "agent/go_runtime.h"
#include "agent/loaded_object.h"
#include "agent/module_life.h"
#include "agent/module_maps.h"
#include "agent/real.h"
#include "agent/spin_lock.h"
#include "agent/threads.h"
#include "base/hash.h"
#include "base/monotonic.h"
#include "base/path.h"
#include "base/syscalls.h"

#define MODULES_MAX 16384
#define INSTANCES_MAX 16384 /* fits the unwinder's 16 bits */
#define COPY_IN_HANDLER_MAX ((size_t)256 << 10) /* bytes */

static struct module modules[MODULES_MAX];
struct module_instance module_instances[INSTANCES_MAX];
static uint32_t module_count, instance_count;
static uint64_t epoch;
static struct spool_writer *spool;
static bool copies_pending;

/* One writer at a time. */
static struct spin_lock writer_lock;

bool modules_lock(void)
{
	/* A signal of the host's has interrupted us here on this thread. */
	if (thread_self.holds_modules)
		return false;
	thread_self.holds_modules = true;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (spin_lock_patiently(&writer_lock))
		return true;
	thread_self.holds_modules = false;
	return false;
}

void modules_unlock(void)
{
	spin_unlock(&writer_lock);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	thread_self.holds_modules = false;
}

/* While something takes its time no handler of the host's may throw us out (siglongjmp). */
static void block_signals(uint64_t *old_mask)
{
	const uint64_t all = ~(uint64_t)0;

	raw_syscall4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, (long)old_mask, sizeof(all));
}

static void restore_signals(const uint64_t *old_mask)
{
	raw_syscall4(SYS_rt_sigprocmask, SIG_SETMASK, (long)old_mask, 0, sizeof(*old_mask));
}

uint64_t modules_epoch(void)
{
	return __atomic_load_n(&epoch, __ATOMIC_ACQUIRE);
}

static void mark_unloaded(struct module_instance *instance)
{
	instance->is_live = false;
	__atomic_fetch_add(&epoch, 1, __ATOMIC_RELEASE);
	module_life_unloaded(spool, instance);
}

/* Memory for good.  Small pieces come from here: a mapping between those of plugins would make each
 * of their loads dearer. */
#define ARENA_SIZE ((size_t)4 << 20)
#define PIECE_MAX ((size_t)128 << 10)
static _Alignas(64) uint8_t arena[ARENA_SIZE];
static size_t arena_used;

static void *take_memory(size_t size)
{
	const size_t whole = (size + 63) & ~(size_t)63;
	long mapped;

	if (size <= PIECE_MAX && whole <= ARENA_SIZE - arena_used) {
		arena_used += whole;
		return arena + arena_used - whole;
	}
	mapped = raw_syscall6(SYS_mmap, 0, (long)size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0); /* all of it is written to */
	return mapped < 0 && mapped > -4096 ? NULL : (void *)mapped;
}

static bool copy_unwind(struct module *m)
{
	uint8_t *copy = take_memory(m->unwind.size);

	if (!copy)
		return false;
	memcpy(copy, m->unwind.data, m->unwind.size);
	__atomic_store_n(&m->unwind.data, copy, __ATOMIC_RELEASE);
	m->unwind_in_place = false;
	return true;
}

/* --- registering --- */

/* By identity: index + 1 of a module, open addressing. */
#define INDEX_SIZE (2 * MODULES_MAX)
static uint16_t module_index[INDEX_SIZE];

static uint64_t identity_hash(const struct build_id *id, uint64_t content)
{
	return id->size ? hash_bytes(id->bytes, id->size) : hash_mix(content);
}

static struct module *find_module(const struct build_id *id, uint64_t content)
{
	uint64_t at = identity_hash(id, content) % INDEX_SIZE;

	for (; module_index[at]; at = (at + 1) % INDEX_SIZE) {
		struct module *m = &modules[module_index[at] - 1];

		if (id->size ? build_id_equal(&m->build_id, id) :
			       m->build_id.size == 0 && m->content == content)
			return m;
	}
	return NULL;
}

static void add_to_index(const struct module *m)
{
	uint64_t at = identity_hash(&m->build_id, m->content) % INDEX_SIZE;

	while (module_index[at])
		at = (at + 1) % INDEX_SIZE;
	module_index[at] = m->id;
}

/* Modules are few that share a path: those of one hot-reloaded plugin. */
static uint32_t find_path(uint64_t path_hash)
{
	uint32_t i = 0;

	while (i < module_count && modules[i].path_hash != path_hash)
		i++;
	return i;
}

static bool record_module(struct module *m, const struct loaded_object *o,
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
		return false;
	m->record_offset = (uint64_t)((char *)written - spool->journal);
	return true;
}

/* The latest that were opened so, by the last part of their names. */
#define APART_MAX 16
static uint64_t names_apart[APART_MAX];

static uint64_t base_name_hash(const char *path)
{
	const char *name = path_base_name(path);

	return hash_bytes(name, strlen(name));
}

void modules_expect_apart(const char *name)
{
	static uint32_t next;
	const uint32_t at = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED) % APART_MAX;

	__atomic_store_n(&names_apart[at], base_name_hash(name), __ATOMIC_RELAXED);
}

static uint32_t apart_flag(const char *path)
{
	const uint64_t hash = base_name_hash(path);

	for (size_t i = 0; i < APART_MAX; i++)
		if (__atomic_load_n(&names_apart[i], __ATOMIC_RELAXED) == hash)
			return SPOOL_MODULE_APART;
	return 0;
}

static struct module *make_module(const struct loaded_object *o, const struct build_id *id,
	uint64_t content, bool is_go, bool in_handler)
{
	struct spool_segment segments[OBJECT_SEGMENTS_MAX];
	const size_t segment_count = object_find_segments(o, segments);
	const char *path = object_find_path(o);
	struct module *m = &modules[module_count];

	*m = (struct module){
		.id = (uint16_t)(module_count + 1),
		.flags = o->flags | (is_go ? SPOOL_MODULE_GO : 0) |
			((o->flags & SPOOL_MODULE_DLOPENED) ? apart_flag(path) : 0),
		.build_id = *id,
		.content = content,
		.path_hash = hash_bytes(path, strlen(path)),
	};
	object_find_unwind(o, &m->unwind);
	if (!record_module(m, o, segments, segment_count, path))
		return NULL;
	module_life_begin(spool, m);
	m->first_of_path = (uint16_t)find_path(m->path_hash);
	add_to_index(m);
	__atomic_store_n(&module_count, module_count + 1, __ATOMIC_RELEASE);
	if (m->unwind.data && (m->flags & SPOOL_MODULE_DLOPENED)) {
		m->unwind_in_place = true;
		if ((in_handler && m->unwind.size > COPY_IN_HANDLER_MAX) || !copy_unwind(m))
			copies_pending = true;
	}
	return m;
}

/* The module of O, which may have been loaded before: then nothing of it is read but its
 * build-ID. */
static struct module *find_or_make_module(const struct loaded_object *o, bool in_handler)
{
	struct build_id id;
	uint64_t content, old_mask;
	struct module *m;
	bool is_go;

	object_find_build_id(o, &id, &is_go);
	content = id.size ? 0 : object_find_content(o);
	m = find_module(&id, content);
	if (m || module_count == MODULES_MAX)
		return m;
	if (in_handler)
		return make_module(o, &id, content, is_go, true);
	block_signals(&old_mask);
	m = make_module(o, &id, content, is_go, false);
	restore_signals(&old_mask);
	return m;
}

/* No handler is in a map that has INSTANCE, which is dead. */
static bool is_alone(const struct module_instance *instance)
{
	return module_maps_old_are_empty() &&
		!module_maps_current_has((uint32_t)(instance - module_instances));
}

/* The same place again, else one whose library is gone, else a fresh one. */
static struct module_instance *new_instance(const struct module *m, uint64_t bias)
{
	struct module_instance *dead = NULL;

	for (uint32_t i = 0; i < instance_count; i++) {
		struct module_instance *one = &module_instances[i];

		if (one->is_live)
			continue;
		if (one->module == m && one->bias == bias)
			return one;
		if (!dead && is_alone(one))
			dead = one;
	}
	if (dead)
		return dead;
	return instance_count < INSTANCES_MAX ? &module_instances[instance_count++] : NULL;
}

/* Under the lock.  The map now covers O; NULL: it does not. */
static struct module_instance *add_object(const struct loaded_object *o, bool in_handler)
{
	struct spool_segment segments[OBJECT_SEGMENTS_MAX];
	struct module_span spans[OBJECT_SEGMENTS_MAX];
	size_t segment_count = object_find_segments(o, segments);
	struct module_instance *instance;
	struct module *m;

	if (segment_count == 0 || !spool->header)
		return NULL;
	m = find_or_make_module(o, in_handler);
	instance = m ? new_instance(m, o->bias) : NULL;
	if (!instance) {
		spool_count(spool, SPOOL_COUNT_MODULES_DROPPED, 1);
		return NULL;
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
	if (!module_maps_publish(spans, segment_count, mark_unloaded))
		return NULL;
	/* From the moment the map is out its instances are only read; this one is marked live
	 * behind it because publishing drops what is not live. */
	instance->is_live = true;
	module_life_loaded(spool, instance, ++modules[m->first_of_path].path_loads);
	return instance;
}

bool modules_add(const struct loaded_object *o)
{
	return add_object(o, false);
}

uint32_t modules_count(void)
{
	return __atomic_load_n(&module_count, __ATOMIC_ACQUIRE);
}

struct module *modules_at(uint32_t index)
{
	return &modules[index];
}

struct spool_life *modules_life(const struct module *m)
{
	return m->has_life ? (struct spool_life *)(spool->journal + m->life_offset) : NULL;
}

bool modules_is_loaded(const struct module *m)
{
	for (uint32_t i = 0; i < instance_count; i++)
		if (module_instances[i].module == m && module_instances[i].is_live)
			return true;
	return false;
}

const char *modules_path(const struct module *m, size_t *length)
{
	const struct spool_module *record =
		(const struct spool_module *)(spool->journal + m->record_offset);

	*length = record->path_length;
	return (const char *)((const struct spool_segment *)(record + 1) + record->segment_count);
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
		.tls = info->dlpi_tls_data,
	};
	const struct module_instance *instance;
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
	}
	/* The program never goes, and where it has holes between its segments glibc tells the first
	 * one's range alone. */
	if (o.link_map && !(o.flags & SPOOL_MODULE_MAIN)) {
		o.map_start = (uint64_t)found.dlfo_map_start;
		o.map_end = (uint64_t)found.dlfo_map_end;
	}
	if ((uint64_t)&modules >= o.map_start && (uint64_t)&modules < o.map_end)
		o.flags |= SPOOL_MODULE_AGENT;
	instance = add_object(&o, false);
	if (instance && (instance->module->flags & SPOOL_MODULE_GO))
		go_runtime_add(&o);
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
	thread_self.forks_with_modules = modules_lock();
}

void modules_release(void)
{
	if (thread_self.forks_with_modules)
		modules_unlock();
	thread_self.forks_with_modules = false;
}

void modules_restart_in_child(struct spool_writer *to)
{
	spool = to;
	module_maps_restart_in_child();
	modules_release();
	/* A thread that did not come along may have had it. */
	if (!thread_self.holds_modules)
		spin_unlock(&writer_lock);
}

bool modules_describe(const struct dl_find_object *found, struct loaded_object *o)
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

static bool find_live(uint64_t pc)
{
	const struct module_span *span = module_map_find(module_maps_current(), pc);

	return span && module_instances[span->instance].is_live;
}

bool modules_learn_pc(uint64_t pc)
{
	struct dl_find_object found;
	struct loaded_object o;
	bool learned;

	if (!real.find_object || real.find_object((void *)pc, &found) != 0 ||
		!modules_describe(&found, &o) || thread_self.holds_modules ||
		!spin_try(&writer_lock))
		return false;
	/* Another thread may have been here first. */
	learned = find_live(pc) || add_object(&o, true);
	spin_unlock(&writer_lock);
	return learned;
}

/* A library closed by another thread a moment ago may have lain at the same place, with its
 * link_map at the same address: only the build-ID tells. */
bool modules_has(const struct loaded_object *o)
{
	struct spool_segment segments[OBJECT_SEGMENTS_MAX];
	const struct module_instance *instance;
	const struct module_span *span;
	struct build_id id;
	bool is_go;

	if (object_find_segments(o, segments) == 0)
		return false;
	span = module_map_find(module_maps_current(), segments[0].vaddr + o->bias);
	if (!span)
		return false;
	instance = &module_instances[span->instance];
	if (!instance->is_live || instance->map_start != o->map_start)
		return false;
	if (instance->module->flags & SPOOL_MODULE_MAIN)
		return true; /* see add_at_start() */
	object_find_build_id(o, &id, &is_go);
	if (id.size || instance->module->build_id.size)
		return build_id_equal(&instance->module->build_id, &id);
	return instance->link_map == o->link_map &&
		instance->unwind_header == o->unwind_header && instance->map_end == o->map_end;
}

struct module_instance *modules_instance_of(const void *link_map)
{
	for (uint32_t i = 0; i < instance_count; i++)
		if (module_instances[i].is_live && module_instances[i].link_map == link_map)
			return &module_instances[i];
	return NULL;
}

bool modules_copies_pending(void)
{
	return copies_pending;
}

void modules_copy_pending(void)
{
	if (!copies_pending)
		return;
	copies_pending = false;
	for (uint32_t i = 0; i < module_count; i++)
		if (modules[i].unwind_in_place && !copy_unwind(&modules[i]))
			copies_pending = true;
}

static bool is_gone(const struct module_instance *instance)
{
	struct dl_find_object found;

	if (instance->module->flags & SPOOL_MODULE_MAIN)
		return false;
	return real.find_object((void *)instance->map_start, &found) != 0 ||
		found.dlfo_link_map != instance->link_map ||
		found.dlfo_eh_frame != instance->unwind_header ||
		(uint64_t)found.dlfo_map_start != instance->map_start ||
		(uint64_t)found.dlfo_map_end != instance->map_end;
}

void modules_drop_unloaded(uint32_t descriptors)
{
	for (uint32_t i = 0; i < instance_count; i++)
		if (module_instances[i].is_live && module_instances[i].link_map &&
			is_gone(&module_instances[i])) {
			struct spool_life *life = modules_life(module_instances[i].module);

			if (life)
				life->descriptors_after = descriptors;
			mark_unloaded(&module_instances[i]);
		}
}

size_t modules_append_generations(spool_frame *frames, size_t count)
{
	uint32_t seen = 0;
	size_t used = count;

	for (size_t i = 0; i < count && used < SPOOL_FRAMES_PER_STACK_MAX; i++) {
		const uint32_t id = spool_frame_module(frames[i]);
		const struct module *m;

		if (id == 0 || id > modules_count() || id == seen)
			continue;
		m = &modules[id - 1];
		if (!(m->flags & SPOOL_MODULE_DLOPENED))
			continue;
		seen = id;
		frames[used++] = spool_frame_note(SPOOL_NOTE_GENERATION,
			id << 16 | (m->generation < UINT16_MAX ? m->generation : UINT16_MAX));
	}
	return used;
}
