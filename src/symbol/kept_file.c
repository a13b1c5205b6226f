#include "symbol/kept_file.h"

#include "base/content_id.h"
#include "base/store.h"

static bool is_the_build(
	const struct binary *b, const struct build_id *build_id, uint64_t content_id)
{
	return build_id->size ? build_id_equal(binary_build_id(b), build_id) :
				binary_build_id(b)->size == 0 &&
			binary_content_id(b) == content_id;
}

struct binary *kept_file_open(
	const char *const *stores, const struct build_id *build_id, uint64_t content_id)
{
	struct build_id key = *build_id;
	char path[STORE_PATH_MAX];

	if (key.size == 0)
		content_id_to_key(content_id, &key);
	for (; stores && *stores; stores++) {
		struct binary *found = NULL;

		if (!store_entry(*stores, &key,
			    build_id->size ? STORE_KEPT_SUFFIX : STORE_CONTENT_SUFFIX, path,
			    sizeof(path)) ||
			binary_open(path, &found) < 0)
			continue;
		if (is_the_build(found, build_id, content_id))
			return found;
		binary_close(found);
	}
	return NULL;
}
