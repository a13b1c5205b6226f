#define _GNU_SOURCE
#include "agent/link_map_count.h"

#include <dlfcn.h>
#include <link.h>
#include <stddef.h>
#include <string.h>

#include "agent/real.h"
#include "spool/spool_format.h"

/* Behind the public fields, and within glibc's struct of any version since 2.26. */
#define FIRST_WORD (sizeof(struct link_map) / sizeof(uint32_t))
#define WORDS_END (1024 / sizeof(uint32_t))
#define TRIALS 3

static size_t place; /* in words; 0: not known */
/* At the end of the process the loader adds one to every count, so that nothing goes while it calls
 * destructors.  Nobody opens the agent, so its own count tells. */
static const void *own_map;
static uint32_t own_count;

static uint32_t count_at(const void *map)
{
	return __atomic_load_n((const uint32_t *)map + place, __ATOMIC_RELAXED);
}

static void *open_libc(void)
{
	return real.dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
}

void link_map_count_start(void)
{
	uint32_t before[WORDS_END], now[WORDS_END];
	void *handles[TRIALS] = { NULL };
	bool fits[WORDS_END];
	size_t found = 0;
	void *libc = open_libc();
	struct dl_find_object self;

	if (!libc)
		return;
	memset(fits, 1, sizeof(fits));
	memcpy(before, libc, sizeof(before));
	for (int trial = 0; trial < 2 * TRIALS; trial++) {
		const bool opens = trial < TRIALS;

		if (opens)
			handles[trial] = open_libc();
		else
			real.dlclose(handles[trial - TRIALS]);
		memcpy(now, libc, sizeof(now));
		for (size_t i = FIRST_WORD; i < WORDS_END; i++)
			fits[i] &= now[i] == before[i] + (opens ? 1u : UINT32_MAX);
		memcpy(before, now, sizeof(before));
	}
	real.dlclose(libc);
	for (size_t i = FIRST_WORD; i < WORDS_END; i++)
		if (fits[i])
			found = found ? WORDS_END : i; /* two places: neither */
	place = found < WORDS_END ? found : 0;
	if (place && real.find_object && real.find_object((void *)link_map_count, &self) == 0) {
		own_map = self.dlfo_link_map;
		own_count = count_at(own_map);
	}
}

uint32_t link_map_count(const void *map)
{
	return own_map ? count_at(map) - (count_at(own_map) - own_count) : SPOOL_UNKNOWN;
}
