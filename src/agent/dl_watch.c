#define _GNU_SOURCE
#include "agent/dl_watch.h"

#include <dlfcn.h>
#include <limits.h>
#include <link.h>
#include <string.h>

#include "agent/descriptors.h"
#include "agent/keeper.h"
#include "agent/link_map_count.h"
#include "agent/loaded_object.h"
#include "agent/modules.h"
#include "agent/real.h"
#include "base/content_id.h"
#include "base/hash.h"
#include "base/monotonic.h"

#define HANDLES_KNOWN 256
#define LOOK_AGAIN_NS UINT64_C(100000000) /* at what may have changed without our being told */
#define COUNT_AGAIN_NS UINT64_C(1000000) /* open descriptors */

/* --- what the loader says of itself --- */

static struct loader_counts {
	uint64_t adds, subs; /* libraries loaded and unloaded so far, in all namespaces */
} seen;

/* dl_iterate_phdr takes a lock of the loader's.  In a child of fork() another thread of the parent
 * may have left it taken for good; there we do without. */
static bool may_iterate = true;

static int read_counts(struct dl_phdr_info *info, size_t size, void *data)
{
	(void)size;
	*(struct loader_counts *)data =
		(struct loader_counts){ info->dlpi_adds, info->dlpi_subs };
	return 1; /* the first one tells all */
}

/* False: not known. */
static bool find_counts(struct loader_counts *counts)
{
	return may_iterate && dl_iterate_phdr(read_counts, counts) == 1;
}

/* --- every library at once --- */

struct look {
	bool has_lock;
	uint64_t old_mask;
	struct loader_counts counts;
};

static uint64_t last_look_ns;

static void note_references(const void *link_map)
{
	const struct module_instance *instance = modules_instance_of(link_map);
	struct spool_life *life = instance ? modules_life(instance->module) : NULL;

	if (life)
		__atomic_store_n(
			&life->references, link_map_count(link_map), __ATOMIC_RELAXED);
}

/* Our lock is taken inside the loader's, never the other way round. */
static int look_at(struct dl_phdr_info *info, size_t size, void *data)
{
	struct loaded_object o = { .bias = info->dlpi_addr,
		.headers = info->dlpi_phdr,
		.header_count = info->dlpi_phnum };
	struct dl_find_object found;
	struct look *look = data;

	read_counts(info, size, &look->counts);
	if (!look->has_lock && !modules_lock(&look->old_mask))
		return 1;
	look->has_lock = true;
	object_find_range(&o);
	if (real.find_object((void *)o.map_start, &found) == 0 && modules_describe(&found, &o)) {
		if (!modules_has(&o))
			modules_add(&o);
		note_references(found.dlfo_link_map);
	}
	return 0;
}

static void look_at_all(uint64_t now_ns)
{
	struct look look = { .has_lock = false };

	if (!real.find_object || !may_iterate)
		return;
	__atomic_store_n(&last_look_ns, now_ns, __ATOMIC_RELAXED);
	dl_iterate_phdr(look_at, &look);
	if (!look.has_lock)
		return;
	modules_copy_pending();
	seen.adds = look.counts.adds;
	modules_unlock(&look.old_mask);
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

static const void *handles_known[HANDLES_KNOWN]; /* by address: dlsym's fast way out */

static const void **known_slot(const void *handle)
{
	return &handles_known[hash_mix((uint64_t)handle) % HANDLES_KNOWN];
}

static void forget_handles(void)
{
	for (size_t i = 0; i < HANDLES_KNOWN; i++)
		__atomic_store_n(&handles_known[i], NULL, __ATOMIC_RELAXED);
}

bool dl_watch_knows(const void *handle)
{
	return __atomic_load_n(known_slot(handle), __ATOMIC_RELAXED) == handle ||
		handle == RTLD_DEFAULT || handle == RTLD_NEXT;
}

/* True: HANDLE's library is new. */
static bool add_handle(void *handle)
{
	const struct link_map *map = handle;
	struct dl_find_object found;
	struct loaded_object o;
	uint64_t old_mask;
	bool is_new;

	/* A handle is its link_map (glibc); its dynamic section lies inside the object. */
	if (real.find_object(map->l_ld, &found) != 0 || found.dlfo_link_map != map ||
		!modules_describe(&found, &o) || !modules_lock(&old_mask))
		return false;
	modules_copy_pending();
	is_new = !modules_has(&o) && modules_add(&o);
	if (is_new || modules_has(&o))
		__atomic_store_n(known_slot(handle), handle, __ATOMIC_RELAXED);
	note_references(map);
	modules_unlock(&old_mask);
	return is_new;
}

void dl_watch_learn_handle(void *handle)
{
	struct loader_counts counts;

	if (!real.find_object)
		return;
	if (add_handle(handle))
		__atomic_fetch_add(&seen.adds, 1, __ATOMIC_RELAXED);
	/* More has come than this one: what it needs. */
	if (find_counts(&counts) && counts.adds != seen.adds)
		look_at_all(monotonic_ns());
	see_to_new_lives();
}

/* --- calls --- */

void dl_watch_before_dlopen(const char *name)
{
	const uint64_t now_ns = monotonic_ns();
	struct loader_counts counts;
	uint64_t old_mask;

	descriptors_before = descriptors_count(now_ns, COUNT_AGAIN_NS);
	if (find_counts(&counts) &&
		(counts.adds != seen.adds || now_ns - last_look_ns > LOOK_AGAIN_NS))
		look_at_all(now_ns);
	see_to_new_lives();
	if (!name || !strchr(name, '/'))
		return; /* the loader will search for it */
	if (object_name_means_descriptor(name) && modules_lock(&old_mask)) {
		object_remember_descriptor(name);
		modules_unlock(&old_mask);
	}
	keeper_keep_path(name);
}

void dl_watch_before_dlclose(void *handle)
{
	const struct module_instance *instance;
	struct loader_counts counts;
	struct spool_life *life;
	uint64_t old_mask;

	/* Before the close: afterwards another thread may have a new library with the same
	 * handle. */
	forget_handles();
	if (find_counts(&counts) && counts.adds != seen.adds)
		look_at_all(monotonic_ns());
	see_to_new_lives();
	if (!modules_lock(&old_mask))
		return;
	modules_copy_pending();
	instance = modules_instance_of(handle);
	life = instance ? modules_life(instance->module) : NULL;
	if (life) {
		const uint32_t count = link_map_count(handle);

		life->references = count && count != SPOOL_UNKNOWN ? count - 1 : count;
	}
	modules_unlock(&old_mask);
}

void dl_watch_after_dlclose(void)
{
	struct loader_counts counts;
	uint64_t old_mask;

	if (!real.find_object)
		return;
	if (find_counts(&counts)) {
		if (__atomic_exchange_n(&seen.subs, counts.subs, __ATOMIC_RELAXED) == counts.subs)
			return; /* it is open elsewhere */
	}
	if (!modules_lock(&old_mask))
		return;
	modules_drop_unloaded(descriptors_count(monotonic_ns(), COUNT_AGAIN_NS));
	modules_unlock(&old_mask);
}

void dl_watch_start(void)
{
	struct loader_counts counts;

	link_map_count_start();
	descriptors_before = descriptors_count(monotonic_ns(), 0);
	if (find_counts(&counts))
		seen = counts;
}

void dl_watch_restart_in_child(void)
{
	may_iterate = may_iterate && real.single_threaded && *real.single_threaded;
}

void dl_watch_finish(void)
{
	const uint64_t now_ns = monotonic_ns();
	const uint32_t descriptors = descriptors_count(now_ns, 0);

	look_at_all(now_ns);
	see_to_new_lives();
	for (uint32_t i = 0; i < modules_count(); i++) {
		struct spool_life *life = modules_life(modules_at(i));

		if (life && modules_is_loaded(modules_at(i)))
			life->descriptors_after = descriptors;
	}
}
