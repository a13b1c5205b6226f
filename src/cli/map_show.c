#define _GNU_SOURCE
#include "cli/map_show.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/store.h"
#include "base/xalloc.h"
#include "cli/json.h"
#include "cli/map_file.h"
#include "cli/message.h"

static const char *text_of(struct map_reader *map, uint32_t string, const char *without)
{
	const char *text = map_reader_string(map, string);

	return text ? text : without;
}

static void dump_text(void *context, uint64_t vaddr, uint64_t end, const struct map_frame *frames,
	size_t count)
{
	struct map_reader *map = context;

	for (size_t i = 0; i < count; i++) {
		const struct map_frame *f = &frames[i];
		struct map_function function = { .name = 0 };

		map_reader_function(map, f->function, &function);
		if (i == 0)
			printf("0x%llx-0x%llx ", (unsigned long long)vaddr,
				(unsigned long long)end);
		else
			printf(" (inlined by) ");
		printf("%s at ", text_of(map, function.name ? function.name : function.linkage_name,
				       "??"));
		printf("%s:%u:%u%s\n", text_of(map, f->file, "??"), f->line, f->column,
			f->is_folded ? " (folded)" : "");
	}
}

static void dump_json(void *context, uint64_t vaddr, uint64_t end, const struct map_frame *frames,
	size_t count)
{
	struct map_reader *map = context;

	printf("{\"start\":\"0x%llx\",\"end\":\"0x%llx\",\"folded\":%s,\"frames\":[",
		(unsigned long long)vaddr, (unsigned long long)end,
		count > 0 && frames[0].is_folded ? "true" : "false");
	for (size_t i = 0; i < count; i++) {
		const struct map_frame *f = &frames[i];
		struct map_function function = { .name = 0 };

		map_reader_function(map, f->function, &function);
		printf("%s{\"function\":", i ? "," : "");
		json_string(stdout, text_of(map, function.name, ""));
		printf(",\"linkage_name\":");
		json_string(stdout, text_of(map, function.linkage_name, ""));
		printf(",\"file\":");
		json_string(stdout, text_of(map, f->file, ""));
		printf(",\"line\":%u,\"column\":%u,\"start_line\":%u}", f->line, f->column,
			function.start_line);
	}
	printf("]}\n");
}

static void print_header(struct map_reader *map, bool as_json)
{
	const struct map_header *h = map_reader_header(map);
	const char *name = map_reader_string(map, h->source_name);
	char hex[BUILD_ID_HEX_SIZE];
	struct build_id id;

	map_reader_build_id(map, &id);
	build_id_to_hex(&id, hex);
	if (as_json) {
		printf("{\"source\":");
		json_string(stdout, name ? name : "");
		printf(",\"build_id\":\"%s\",\"source_size\":%llu,\"has_lines\":%s,"
		       "\"ranges\":%llu,\"locations\":%llu,\"functions\":%llu,\"strings\":%llu}\n",
			hex, (unsigned long long)h->source_size, h->has_lines ? "true" : "false",
			(unsigned long long)h->sections[MAP_RANGES].count,
			(unsigned long long)h->sections[MAP_LOCATIONS].count,
			(unsigned long long)h->sections[MAP_FUNCTIONS].count,
			(unsigned long long)h->sections[MAP_STRINGS].count);
		return;
	}
	printf("source     %s, %llu bytes\nbuild-id   %s\nlines      %s\n", name ? name : "?",
		(unsigned long long)h->source_size, hex, h->has_lines ? "yes" : "no");
	printf("ranges     %llu\nlocations  %llu\nfunctions  %llu\nstrings    %llu\n",
		(unsigned long long)h->sections[MAP_RANGES].count,
		(unsigned long long)h->sections[MAP_LOCATIONS].count,
		(unsigned long long)h->sections[MAP_FUNCTIONS].count,
		(unsigned long long)h->sections[MAP_STRINGS].count);
}

int map_dump(const char *path, bool as_json)
{
	struct map_file f;

	if (map_file_open(path, &f))
		return EXIT_OWN_ERROR;
	print_header(f.map, as_json);
	map_reader_visit(f.map, as_json ? dump_json : dump_text, f.map);
	map_file_close(&f);
	if (fflush(stdout) == 0 && !ferror(stdout))
		return EXIT_OK;
	message_errno(-errno, "cannot write to standard output");
	return EXIT_OWN_ERROR;
}

static struct {
	size_t good, bad;
} counts; /* nftw() has no context */

static void count_range(void *context, uint64_t vaddr, uint64_t end, const struct map_frame *frames,
	size_t count)
{
	if (count == 0)
		++*(size_t *)context;
}

/* Does the map lie where its build-ID says? */
static bool is_in_its_place(const char *path, struct map_reader *map)
{
	char hex[BUILD_ID_HEX_SIZE], *expected;
	struct build_id id;
	bool is;

	map_reader_build_id(map, &id);
	build_id_to_hex(&id, hex);
	expected = xasprintf("/%.2s/%s" STORE_MAP_SUFFIX, hex, hex[0] ? hex + 2 : "");
	is = strlen(path) < strlen(expected) ||
		strcmp(path + strlen(path) - strlen(expected), expected) == 0;
	free(expected);
	return is;
}

static void verify_one(const char *path)
{
	size_t unreadable = 0;
	struct map_file f;

	if (map_file_open(path, &f)) {
		counts.bad++;
		return;
	}
	map_reader_visit(f.map, count_range, &unreadable);
	if (unreadable > 0)
		message("%s: %zu ranges cannot be read: make it again", path, unreadable);
	else if (!is_in_its_place(path, f.map))
		message("%s is the map of another build-ID than its name says", path);
	if (unreadable > 0 || !is_in_its_place(path, f.map))
		counts.bad++;
	else
		counts.good++;
	map_file_close(&f);
}

static int visit_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	const size_t size = strlen(path), suffix = strlen(STORE_MAP_SUFFIX);

	if (type == FTW_F && (ftw->level == 0 ||
		(size > suffix && strcmp(path + size - suffix, STORE_MAP_SUFFIX) == 0)))
		verify_one(path);
	return 0;
}

int map_verify(char *const *paths, bool is_quiet)
{
	for (; *paths; paths++)
		if (nftw(*paths, visit_file, 64, FTW_PHYS) < 0) {
			message_errno(-errno, "cannot read %s", *paths);
			counts.bad++;
		}
	if (!is_quiet)
		message("%zu maps are good, %zu are not", counts.good, counts.bad);
	return counts.bad ? EXIT_OWN_ERROR : EXIT_OK;
}
