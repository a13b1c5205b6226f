#include "symbol/kept_file.h"

#include <errno.h>

#include "base/content_id.h"
#include "base/store.h"

static bool is_the_build(
	const struct binary *b, const struct build_id *build_id, uint64_t content_id)
{
	return build_id->size ? build_id_equal(binary_build_id(b), build_id) :
				binary_content_id(b) == content_id;
}

struct binary *kept_file_open(const char *const *stores, const struct build_id *build_id,
	uint64_t content_id, struct trail *trail)
{
	struct build_id key = *build_id;
	char path[STORE_PATH_MAX];

	if (key.size == 0)
		content_id_to_key(content_id, &key);
	for (; stores && *stores; stores++) {
		struct binary *found = NULL;
		int r;

		if (!store_entry(*stores, &key,
			    build_id->size ? STORE_KEPT_SUFFIX : STORE_CONTENT_SUFFIX, path,
			    sizeof(path)))
			continue;
		r = binary_open(path, &found);
		if (r == 0 && is_the_build(found, build_id, content_id))
			return found;
		if (r)
			trail_note_error(trail, PLACE_KEPT, path, r);
		else if (build_id->size)
			trail_note_other_build(
				trail, PLACE_KEPT, path, binary_build_id(found), build_id);
		else
			trail_note(trail, PLACE_KEPT, path, "other contents than what ran");
		binary_close(found);
	}
	return NULL;
}

int kept_file_check(const char *path, const struct build_id *key, bool by_content)
{
	struct build_id content;
	struct binary *found;
	int r = binary_open(path, &found);

	if (r == -ENOEXEC || r == -ENODATA)
		return -ESTALE;
	if (r)
		return r;
	content_id_to_key(binary_content_id(found), &content);
	if (!build_id_equal(by_content ? &content : binary_build_id(found), key))
		r = -ESTALE;
	binary_close(found);
	return r;
}
