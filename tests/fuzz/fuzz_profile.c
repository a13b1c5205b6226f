/*
 * profile_load() over any bytes; what loads is written, and loads again as the same profile.  Added
 * to itself it counts twice.  Its plugins are told, whatever its comments say.  Then the bytes as a
 * perf map.
 *
 *     clang -fsanitize=fuzzer,address,undefined ... && ./fuzz_profile tests/fuzz/corpus/profile
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/plugin_print.h"
#include "pprof/profile_check.h"
#include "pprof/profile_io.h"
#include "pprof/profile_merge.h"
#include "symbol/perf_map.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SAMPLE_COUNT_MAX 16000 /* what profile_pack() writes */

static void expect(bool condition)
{
	if (!condition)
		abort();
}

static void expect_same(const struct profile *p, const struct profile *again)
{
	expect(p->sample_types.count == again->sample_types.count);
	expect(p->mappings.count == again->mappings.count);
	expect(p->comments.count == again->comments.count);
	if (p->samples.count > SAMPLE_COUNT_MAX) {
		expect(again->samples.count <= SAMPLE_COUNT_MAX);
		return;
	}
	expect(p->samples.count == again->samples.count);
	expect(p->locations.count == again->locations.count);
	expect(p->functions.count == again->functions.count);
	expect(p->strings.count == again->strings.count);
	expect(p->lines.count == again->lines.count);
	expect(p->labels.count == again->labels.count);
	expect(p->values.count == again->values.count);
	for (size_t i = 0; i < p->values.count; i++)
		expect(p->values.items[i] == again->values.items[i]);
	for (size_t i = 0; i < p->strings.count; i++)
		expect(strcmp(p->strings.items[i], again->strings.items[i]) == 0);
}

static void write_and_load(const struct profile *p)
{
	struct profile *again = NULL;
	uint8_t *data;
	size_t size;

	profile_pack(p, &data, &size);
	expect(profile_load(data, size, &again, NULL) == 0);
	expect_same(p, again);
	free(data);
	profile_free(again);
}

static uint64_t total(const struct profile *p, size_t type)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < p->samples.count; i++)
		sum += (uint64_t)p->values.items[p->samples.items[i].first_value + type];
	return sum;
}

static void add_to_itself(const struct profile *p)
{
	struct profile_merge *m = profile_merge_new();
	struct profile *sum;
	char *why = NULL;

	expect(profile_merge_add(m, p, NULL, &why) == 0);
	expect(profile_merge_add(m, p, NULL, &why) == 0);
	sum = profile_merge_take(m);
	expect(sum->samples.count <= p->samples.count);
	expect(sum->mappings.count <= p->mappings.count);
	expect(sum->locations.count <= p->locations.count);
	for (size_t i = 0; i < p->sample_types.count; i++)
		expect(total(sum, i) == 2 * total(p, i));
	write_and_load(sum);
	profile_free(sum);
	profile_merge_free(m);
}

/* Fewer samples, fewer unused parts: still a profile that loads. */
static void shrink_and_load(struct profile *p)
{
	profile_fold(p, 2);
	expect(p->samples.count <= 2);
	profile_compact(p);
	write_and_load(p);
}

static void tell_plugins(const struct profile *p)
{
	struct plugin_table table = { .has_cpu = false };
	FILE *to = fopen("/dev/null", "w");

	expect(to != NULL);
	expect(plugin_table_add(&table, p) == 0);
	plugin_table_sort(&table);
	plugin_print(to, &table, true);
	plugin_print_json(to, &table);
	plugin_table_keep_plugins(&table);
	plugin_print(to, &table, false);
	plugin_table_free(&table);
	fclose(to);
}

static void count_errors(void *context, const struct profile_finding *finding)
{
	expect(finding->record[0] && finding->text[0]);
	*(size_t *)context += finding->kind == FINDING_ERROR;
}

/* The same bytes as a perf map: whatever they say, an address has one name or none. */
static void ask_perf_map(const uint8_t *data, size_t size)
{
	struct perf_map *map = perf_map_over((const char *)data, size);

	for (uint64_t pc = 1; pc; pc <<= 1) {
		const char *name = perf_map_find(map, pc);

		expect(name == NULL || name[0] != '\0');
	}
	expect(perf_map_find(map, UINT64_MAX) == NULL);
	perf_map_free(map);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t errors = 0;
	struct profile *p = NULL;
	char *why = NULL;
	int r = profile_load(data, size, &p, &why);

	ask_perf_map(data, size);
	expect((r == 0) == (p != NULL));
	profile_check(data, size, count_errors, &errors);
	expect((errors == 0) == (r == 0)); /* they know the same rules */
	expect(r == 0 ? why == NULL : why != NULL && !strchr(why, '\n'));
	if (p) {
		tell_plugins(p);
		write_and_load(p);
		add_to_itself(p);
		shrink_and_load(p);
	}
	profile_free(p);
	free(why);
	return 0;
}
