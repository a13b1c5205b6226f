#include "base/go_layout.h"

#include <stdbool.h>
#include <string.h>

#include "base/compiler.h"

static const struct go_layout layouts[] = {
	{ 18, 360, 72, 192, GO_LABELS_MAP },
	{ 19, 360, 72, 192, GO_LABELS_MAP },
	{ 20, 360, 72, 192, GO_LABELS_MAP },
	{ 21, 344, 72, 192, GO_LABELS_MAP },
	{ 22, 344, 72, 192, GO_LABELS_MAP },
	{ 23, 352, 72, 192, GO_LABELS_MAP },
	{ 24, 352, 72, 192, GO_LABELS_LIST },
	{ 25, 344, 64, 184, GO_LABELS_LIST },
	{ 26, 352, 64, 184, GO_LABELS_LIST },
};

/* What may stand behind the minor version: go1.26.8, go1.26rc1, "go1.26 X:loopvar"; but not the
 * -devel of a version that is still to come. */
static bool is_released(const char *rest, size_t size)
{
	return size == 0 || rest[0] == '.' || rest[0] == ' ' ||
	       (size > 2 && memcmp(rest, "rc", 2) == 0);
}

const struct go_layout *go_layout_find(const char *version, size_t size)
{
	static const char start[] = "go1.";
	uint32_t minor = 0;
	size_t at = sizeof(start) - 1;

	if (size <= at || memcmp(version, start, at) != 0)
		return NULL;
	for (; at < size && version[at] >= '0' && version[at] <= '9' && minor < 1000; at++)
		minor = minor * 10 + (uint32_t)(version[at] - '0');
	if (!is_released(version + at, size - at))
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(layouts); i++)
		if (layouts[i].minor == minor)
			return &layouts[i];
	return NULL;
}
