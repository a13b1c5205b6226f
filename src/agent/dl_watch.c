#define _GNU_SOURCE
#include "agent/dl_watch.h"

#include <dlfcn.h>
#include <limits.h>
#include <link.h>
#include <string.h>

#include "agent/descriptors.h"
#include "agent/go_runtime.h"
#include "agent/keeper.h"
#include "agent/link_map_count.h"
#include "agent/loaded_object.h"
#include "agent/modules.h"
#include "agent/real.h"
#include "base/content_id.h"
#include "base/hash.h"
#include "base/lone_thread.h"
#include "base/monotonic.h"

#define HANDLES_KNOWN 256
#define LOOK_AGAIN_NS UINT64_C(100000000) /* at what may have changed without our being told */
#define COUNT_AGAIN_NS UINT64_C(1000000) /* open descriptors */

/* --- every library at once --- */

/* How many libraries the loader had loaded, in all namespaces, when we looked last. */
static uint64_t adds_seen;
static uint64_t last_look_ns;

/* dl_iterate_phdr takes a lock of the loader's.  In a child of fork() another thread of the parent
 * may have left it taken for good; there we do without. */
static bool may_iterate = true;

static int read_adds(struct dl_phdr_info *info, size_t size, void *adds)
{
	(void)size;
	*(uint64_t *)adds = info->dlpi_adds;
	return 1; /* the first one tells all */
}

static bool find_adds(uint64_t *adds)
{
	return may_iterate && dl_iterate_phdr(read_adds, adds) == 1;
}

struct look {
	bool has_lock;
	uint64_t adds;
};

/* O is there, and known. */
static void note_instance(const struct loaded_object *o)
{
	const struct module_instance *instance = modules_instance_of(o->link_map);
	struct spool_life *life = instance ? modules_life(instance->module) : NULL;

	if (life)
		__atomic_store_n(
			&life->references, link_map_count(o->link_map), __ATOMIC_RELAXED);
	if (instance && (instance->module->flags & SPOOL_MODULE_GO))
		go_runtime_add(o);
}

/* Our lock is taken inside the loader's, never the other way round. */
static int look_at(struct dl_phdr_info *info, size_t size, void *data)
{
	struct loaded_object o = { .bias = info->dlpi_addr,
		.headers = info->dlpi_phdr,
		.header_count = info->dlpi_phnum };
	struct dl_find_object found;
	struct look *look = data;

	read_adds(info, size, &look->adds);
	if (!look->has_lock && !modules_lock())
		return 1;
	look->has_lock = true;
	object_find_range(&o);
	if (real.find_object((void *)o.map_start, &found) == 0 && modules_describe(&found, &o)) {
		if (!modules_has(&o))
			modules_add(&o);
		note_instance(&o);
	}
	return 0;
}

static void look_at_all(void)
{
	struct look look = { .has_lock = false };

	if (!real.find_object || !may_iterate)
		return;
	dl_iterate_phdr(look_at, &look);
	if (!look.has_lock)
		return;
	modules_copy_pending();
	adds_seen = look.adds;
	modules_unlock();
}

/* Something has come, or it is long ago that references were counted. */
static void look_if_changed(uint64_t now_ns)
{
	uint64_t adds;

	if (!find_adds(&adds) ||
		(adds == adds_seen &&
			now_ns - __atomic_load_n(&last_look_ns, __ATOMIC_RELAXED) < LOOK_AGAIN_NS))
		return;
	__atomic_store_n(&last_look_ns, now_ns, __ATOMIC_RELAXED);
	look_at_all();
}

/* --- what is known of each life --- */

static uint32_t lives_done; /* modules whose files have been dealt with */
static uint32_t descriptors_before; /* the latest call of dlopen */

static void keep_file(const struct module *m, struct spool_life *life)
{
	char path[PATH_MAX];
	struct keeper_result result;
	struct build_id id = m->build_id;
	size_t length;
	const char *recorded = modules_path(m, &length);

	if (id.size == 0)
		content_id_to_key(m->content, &id);
	if (length >= sizeof(path))
		return;
	memcpy(path, recorded, length);
	path[length] = '\0';
	if (!keeper_keep_module(path, &id, m->build_id.size == 0, &result))
		return;
	life->kept_error = (uint32_t)result.error;
	__atomic_store_n(&life->kept, result.kept, __ATOMIC_RELEASE);
}

/* Keep the files of what was found since the last time, also by handlers. */
static void see_to_new_lives(void)
{
	const uint32_t count = modules_count();
	uint32_t at = __atomic_load_n(&lives_done, __ATOMIC_RELAXED);
	bool all_done = true;

	for (; at < count; at++) {
		const struct module *m = modules_at(at);
		struct spool_life *life = modules_life(m);

		if (life && (m->flags & SPOOL_MODULE_DLOPENED)) {
			if (life->descriptors_before == SPOOL_UNKNOWN)
				life->descriptors_before = descriptors_before;
			if (life->kept == SPOOL_KEPT_NOT_YET)
				keep_file(m, life);
			all_done &= life->kept != SPOOL_KEPT_NOT_YET;
		}
		if (all_done)
			__atomic_store_n(&lives_done, at + 1, __ATOMIC_RELAXED);
	}
}

/* --- handles --- */

/* By address: dlsym's fast way out.  Every close makes all of them void, for the handle of
 * another library may be the same address then. */
static uint64_t handles_known[HANDLES_KNOWN];
static uint64_t closes;

static uint64_t *known_slot(const void *handle)
{
	return &handles_known[hash_mix((uint64_t)handle) % HANDLES_KNOWN];
}

static uint64_t known_as(const void *handle)
{
	return (uint64_t)handle + (__atomic_load_n(&closes, __ATOMIC_ACQUIRE) << 48);
}

bool dl_watch_knows(const void *handle)
{
	return __atomic_load_n(known_slot(handle), __ATOMIC_RELAXED) == known_as(handle) ||
		handle == RTLD_DEFAULT || handle == RTLD_NEXT;
}

/* True: HANDLE's library is of a build that was not seen before. */
static bool add_handle(void *handle)
{
	const struct link_map *map = handle;
	const uint64_t known = known_as(handle);
	const uint32_t count = modules_count();
	struct dl_find_object found;
	struct loaded_object o;

	/* A handle is its link_map (glibc); its dynamic section lies inside the object. */
	if (real.find_object(map->l_ld, &found) != 0 || found.dlfo_link_map != map ||
		!modules_describe(&found, &o) || !modules_lock())
		return false;
	if (modules_has(&o) || modules_add(&o))
		__atomic_store_n(known_slot(handle), known, __ATOMIC_RELAXED);
	modules_copy_pending();
	note_instance(&o);
	modules_unlock();
	return modules_count() > count;
}

/* A library was opened, and nobody has looked what came along with it. */
static bool has_opened;

void dl_watch_learn_handle(void *handle)
{
	if (!real.find_object)
		return;
	has_opened = false;
	/* What a known build needs was seen when it came first. */
	if (add_handle(handle))
		look_if_changed(monotonic_ns());
	see_to_new_lives();
}

/* --- calls --- */

void dl_watch_before_dlopen(const char *name, bool is_apart)
{
	const uint64_t now_ns = monotonic_ns();

	descriptors_before = descriptors_count(now_ns, COUNT_AGAIN_NS);
	if (has_opened)
		look_if_changed(now_ns);
	has_opened = true;
	see_to_new_lives();
	if (is_apart && name)
		modules_expect_apart(name);
	if (!name || !strchr(name, '/'))
		return; /* the loader will search for it */
	if (object_name_means_descriptor(name) && modules_lock()) {
		object_remember_descriptor(name);
		modules_unlock();
	}
	keeper_keep_path(name);
}

uint32_t dl_watch_before_dlclose(void *handle)
{
	/* Before the close: afterwards another thread may have a new library with the same
	 * handle. */
	__atomic_fetch_add(&closes, 1, __ATOMIC_ACQ_REL);
	if (has_opened)
		look_if_changed(monotonic_ns());
	has_opened = false;
	see_to_new_lives();
	if (modules_copies_pending() && modules_lock()) {
		modules_copy_pending();
		modules_unlock();
	}
	return modules_instance_of(handle) ? link_map_count(handle) : SPOOL_UNKNOWN;
}

/* The loader counts no closes of what is never unloaded (DF_1_NODELETE): then nobody knows. */
static uint32_t references_left(const void *handle, uint32_t before)
{
	if (before == SPOOL_UNKNOWN || before <= 1)
		return before == 1 ? 0 : SPOOL_UNKNOWN;
	return link_map_count(handle) < before ? before - 1 : SPOOL_UNKNOWN;
}

void dl_watch_after_dlclose(void *handle, uint32_t count_before)
{
	const struct module_instance *instance;
	struct spool_life *life;

	if (!real.find_object || !modules_lock())
		return;
	instance = modules_instance_of(handle);
	life = instance ? modules_life(instance->module) : NULL;
	modules_drop_unloaded(descriptors_count(monotonic_ns(), COUNT_AGAIN_NS));
	if (life)
		life->references =
			instance->is_live ? references_left(handle, count_before) : 0;
	modules_unlock();
}

void dl_watch_start(void)
{
	link_map_count_start();
	descriptors_before = descriptors_count(monotonic_ns(), 0);
	find_adds(&adds_seen);
}

void dl_watch_restart_in_child(void)
{
	may_iterate = may_iterate && lone_thread();
}

void dl_watch_finish(void)
{
	const uint64_t now_ns = monotonic_ns();
	uint32_t descriptors = SPOOL_UNKNOWN;

	look_at_all();
	see_to_new_lives();
	for (uint32_t i = 0; i < modules_count(); i++) {
		struct spool_life *life = modules_life(modules_at(i));

		if (!life || !modules_is_loaded(modules_at(i)))
			continue;
		if (descriptors == SPOOL_UNKNOWN)
			descriptors = descriptors_count(now_ns, 0);
		life->descriptors_after = descriptors;
	}
}
