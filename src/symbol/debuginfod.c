#define _GNU_SOURCE
#include "symbol/debuginfod.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/monotonic.h"
#include "base/xalloc.h"
#include "symbol/debug_file.h"

#define LIBRARY "libdebuginfod.so.1"
#define URLS_VARIABLE "DEBUGINFOD_URLS"

/* As servers, clients and caches call them. */
static const char *const kinds[] = {
	[DEBUGINFOD_DEBUG_FILE] = "debuginfo",
	[DEBUGINFOD_EXECUTABLE] = "executable",
};

/* --- the cache --- */

/* The caller's to free(); NULL: there is no home to have one in. */
static char *cache_folder(void)
{
	const char *named = getenv("DEBUGINFOD_CACHE_PATH"), *home = getenv("HOME");
	const char *cache = getenv("XDG_CACHE_HOME");
	char *old;

	if (named && named[0])
		return xstrdup(named);
	old = home ? xasprintf("%s/.debuginfod_client_cache", home) : NULL;
	if (old && access(old, F_OK) == 0)
		return old;
	free(old);
	if (cache && cache[0])
		return xasprintf("%s/debuginfod_client", cache);
	return home ? xasprintf("%s/.cache/debuginfod_client", home) : NULL;
}

struct binary *debuginfod_open_cached(
	enum debuginfod_kind kind, const struct build_id *build_id, struct trail *trail)
{
	char *folder = cache_folder(), *path, hex[BUILD_ID_HEX_SIZE];
	struct binary *found = NULL;
	struct stat st;

	if (!folder || build_id->size < 2) {
		free(folder);
		return NULL;
	}
	path = xasprintf("%s/%s/%s", folder, build_id_to_hex(build_id, hex), kinds[kind]);
	if (stat(path, &st) == 0 && st.st_size == 0)
		trail_note(trail, PLACE_CACHE, path, "no server had it when last asked");
	else
		found = debug_file_open_build(path, build_id, PLACE_CACHE, trail);
	free(path);
	free(folder);
	return found;
}

/* --- the servers --- */

typedef struct debuginfod_client debuginfod_client;

/* Of <elfutils/debuginfod.h>. */
static struct {
	bool is_loaded;
	debuginfod_client *(*begin)(void);
	void (*end)(debuginfod_client *client);
	/* By kind. */
	int (*find[ARRAY_SIZE(kinds)])(debuginfod_client *client, const unsigned char *build_id,
		int build_id_size, char **path);
	void (*set_progress)(debuginfod_client *client,
		int (*progress)(debuginfod_client *client, long done, long size));
	void (*set_user_data)(debuginfod_client *client, void *data);
	void *(*get_user_data)(debuginfod_client *client);
} library;

static bool load_library(void)
{
	void *handle = library.is_loaded ? NULL : dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	const struct {
		const char *name;
		void *function;
	} functions[] = {
		{ "debuginfod_begin", &library.begin },
		{ "debuginfod_end", &library.end },
		{ "debuginfod_find_debuginfo", &library.find[DEBUGINFOD_DEBUG_FILE] },
		{ "debuginfod_find_executable", &library.find[DEBUGINFOD_EXECUTABLE] },
		{ "debuginfod_set_progressfn", &library.set_progress },
		{ "debuginfod_set_user_data", &library.set_user_data },
		{ "debuginfod_get_user_data", &library.get_user_data },
	};

	if (!handle)
		return library.is_loaded;
	for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
		void *found = dlsym(handle, functions[i].name);

		if (!found)
			return false;
		memcpy(functions[i].function, &found, sizeof(found));
	}
	library.is_loaded = true;
	return true;
}

struct fetch {
	const struct symbol_fetching *fetching;
	const struct build_id *build_id;
	uint64_t deadline_ns;
};

/* Not 0: give up.  Called at least once a second. */
static int on_progress(debuginfod_client *client, long done, long size)
{
	const struct fetch *f = library.get_user_data(client);

	if (f->fetching->progress && size > 0)
		f->fetching->progress(f->fetching->context, f->build_id, done, size);
	return monotonic_ns() > f->deadline_ns;
}

/* 0: *PATH is the caller's to free(); else -errno. */
static int fetch(enum debuginfod_kind kind, const struct build_id *build_id,
	const struct symbol_fetching *fetching, char **path)
{
	struct fetch f = { fetching, build_id,
		monotonic_ns() + UINT64_C(1000000000) * SYMBOL_FETCHING_SECONDS_MAX };
	debuginfod_client *client = library.begin();
	int descriptor;

	if (!client)
		return -ENOMEM;
	library.set_user_data(client, &f);
	library.set_progress(client, on_progress);
	descriptor = library.find[kind](client, build_id->bytes, build_id->size, path);
	library.end(client);
	if (fetching->progress)
		fetching->progress(fetching->context, build_id, 0, 0);
	if (descriptor < 0)
		return monotonic_ns() > f.deadline_ns ? -ETIME : descriptor;
	close(descriptor);
	return 0;
}

struct binary *debuginfod_fetch(enum debuginfod_kind kind, const struct build_id *build_id,
	const struct symbol_fetching *fetching, struct trail *trail)
{
	static bool gave_up; /* nobody waits twice for a server that is down */
	const char *urls = getenv(URLS_VARIABLE);
	struct binary *found = NULL;
	char *path = NULL;
	int r;

	if (!fetching || !urls || !urls[strspn(urls, " ")] || build_id->size < 2 || gave_up)
		return NULL;
	if (!load_library()) {
		trail_warn(trail, PLACE_SERVER, urls, LIBRARY " is not installed");
		gave_up = true;
		return NULL;
	}
	r = fetch(kind, build_id, fetching, &path);
	if (r == 0)
		found = debug_file_open_build(path, build_id, PLACE_SERVER, trail);
	else if (r == -ENOENT)
		trail_note(trail, PLACE_SERVER, urls, "no %s there", kinds[kind]);
	else
		trail_warn(trail, PLACE_SERVER, urls, strerror(-r));
	gave_up = r && r != -ENOENT;
	free(path);
	return found;
}
