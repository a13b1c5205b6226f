#define _GNU_SOURCE
#include "cli/life.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/build_id.h"
#include "base/compiler.h"
#include "base/xalloc.h"

/* --- from the spool into comments --- */

static int by_number(const void *a, const void *b)
{
	const uint64_t x = ((const struct spool_generation *)a)->number;
	const uint64_t y = ((const struct spool_generation *)b)->number;

	return (x > y) - (x < y);
}

/* "3:12:500,4:510:" : number, load and unload in ns since the start, none if still loaded. */
static void print_generations(FILE *to, const struct spool_life *life, uint64_t start_ns)
{
	struct spool_generation sorted[SPOOL_GENERATIONS_MAX];
	const char *comma = "";

	memcpy(sorted, life->generations, sizeof(sorted));
	qsort(sorted, SPOOL_GENERATIONS_MAX, sizeof(*sorted), by_number);
	for (size_t i = 0; i < SPOOL_GENERATIONS_MAX; i++) {
		const struct spool_generation *g = &sorted[i];

		if (!g->number)
			continue;
		fprintf(to, "%s%" PRIu64 ":%" PRId64 ":", comma, g->number,
			(int64_t)(g->load_ns - start_ns));
		if (g->unload_ns)
			fprintf(to, "%" PRId64, (int64_t)(g->unload_ns - start_ns));
		comma = ",";
	}
}

static int64_t known(uint32_t number)
{
	return number == SPOOL_UNKNOWN ? -1 : (int64_t)number;
}

static void add_comment(struct profile *p, const struct spool_reader *spool,
	const struct spool_module_view *view, bool is_plugin)
{
	const struct spool_life *life = view->life;
	struct build_id id = { .size = (uint8_t)view->module->build_id_size };
	char hex[BUILD_ID_HEX_SIZE];
	char *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	if (!to)
		return;
	memcpy(id.bytes, view->module->build_id, id.size);
	fprintf(to, LIFE_COMMENT "\t%s\t%s\t%" PRIx64 "\t%d\t%" PRIu64 "\t%" PRIu64,
		build_id_to_hex(&id, hex), view->path, life->content_id, is_plugin,
		view->module->loads, view->module->unloads);
	fprintf(to, "\t%" PRId64 "\t%" PRId64 "\t%" PRId64 "\t%u\t%u\t", known(life->references),
		known(life->descriptors_before), known(life->descriptors_after), life->kept,
		life->kept_error);
	print_generations(to, life, spool_reader_header(spool)->start_monotonic_ns);
	fclose(to);
	profile_add_comment(p, text);
	free(text);
}

void life_add_comments(
	struct profile *p, const struct spool_reader *spool, const struct plugins *plugins)
{
	const char *store = spool_reader_text(spool, SPOOL_TEXT_STORE);
	struct spool_module_view view;

	for (uint32_t id = 1; id <= spool_reader_module_count(spool); id++)
		if (spool_reader_module(spool, id, &view) && view.life)
			add_comment(p, spool, &view, plugins_has(plugins, id));
	if (store[0]) {
		char *text = xasprintf(STORE_COMMENT "\t%s", store);

		profile_add_comment(p, text);
		free(text);
	}
}

/* --- and back --- */

static const char *next_field(char **rest)
{
	const char *field = strsep(rest, "\t");

	return field ? field : "";
}

/* One of those that print_generations() wrote; *TEXT moves behind it. */
static bool read_generation(const char **text, struct life_generation *g)
{
	char *end;

	g->number = strtoull(*text, &end, 10);
	if (!g->number || *end != ':')
		return false;
	g->load_ns = strtoll(end + 1, &end, 10);
	if (*end != ':')
		return false;
	*text = end + 1;
	g->unload_ns = strtoll(*text, &end, 10);
	g->is_unloaded = end != *text;
	*text = end;
	return true;
}

static void read_generations(struct life *l, const char *text)
{
	struct life_generation g;

	while (l->generations.count < SPOOL_GENERATIONS_MAX && read_generation(&text, &g)) {
		*VEC_PUSH(&l->generations) = g;
		if (*text++ != ',')
			return;
	}
}

static void read_life(lives *found, const char *text)
{
	char *copy = xstrdup(text), *rest = copy;
	struct life *l = VEC_PUSH(found);

	l->build_id = xstrdup(next_field(&rest));
	l->path = xstrdup(next_field(&rest));
	l->content_id = strtoull(next_field(&rest), NULL, 16);
	l->is_plugin = strcmp(next_field(&rest), "1") == 0;
	l->loads = strtoull(next_field(&rest), NULL, 10);
	l->unloads = strtoull(next_field(&rest), NULL, 10);
	l->references = strtoll(next_field(&rest), NULL, 10);
	l->descriptors_before = strtoll(next_field(&rest), NULL, 10);
	l->descriptors_after = strtoll(next_field(&rest), NULL, 10);
	l->kept = (uint32_t)strtoul(next_field(&rest), NULL, 10);
	l->kept_error = (uint32_t)strtoul(next_field(&rest), NULL, 10);
	read_generations(l, next_field(&rest));
	free(copy);
}

static const char *behind_name(const char *comment, const char *name)
{
	const size_t length = strlen(name);

	return strncmp(comment, name, length) == 0 && comment[length] == '\t' ?
		comment + length + 1 :
		NULL;
}

const char *life_find_comment(const struct profile *p, const char *name)
{
	for (size_t i = 0; i < p->comments.count; i++) {
		const char *text = behind_name(profile_string(p, p->comments.items[i]), name);

		if (text)
			return text;
	}
	return NULL;
}

void life_drop_comments(struct profile *p, const char *name)
{
	size_t kept = 0;

	for (size_t i = 0; i < p->comments.count; i++)
		if (!behind_name(profile_string(p, p->comments.items[i]), name))
			p->comments.items[kept++] = p->comments.items[i];
	p->comments.count = kept;
}

void lives_read(const struct profile *p, lives *found)
{
	*found = (lives){ .count = 0 };
	for (size_t i = 0; i < p->comments.count; i++) {
		const char *text =
			behind_name(profile_string(p, p->comments.items[i]), LIFE_COMMENT);

		if (text)
			read_life(found, text);
	}
}

void life_free(struct life *l)
{
	free(l->path);
	free(l->build_id);
	VEC_FREE(&l->generations);
}

void lives_free(lives *found)
{
	for (size_t i = 0; i < found->count; i++)
		life_free(&found->items[i]);
	VEC_FREE(found);
}

const struct life *lives_find(const lives *found, const char *path, const char *build_id)
{
	for (size_t i = 0; i < found->count; i++)
		if (strcmp(found->items[i].path, path) == 0 &&
			strcmp(found->items[i].build_id, build_id) == 0)
			return &found->items[i];
	return NULL;
}

uint64_t lives_find_content(const lives *found, const char *path)
{
	uint64_t content_id = 0;

	for (size_t i = 0; i < found->count; i++) {
		const struct life *l = &found->items[i];

		if (!l->build_id[0] && strcmp(l->path, path) == 0)
			content_id = content_id ? LIFE_AMBIGUOUS : l->content_id;
	}
	return content_id;
}

const char *life_kept_reason(const struct life *l)
{
	static const char *const reasons[] = {
		[SPOOL_KEPT_NOT_YET] = "the process ended before",
		[SPOOL_KEPT_NEVER] = "keep=never",
		[SPOOL_KEPT_TOO_LARGE] = "larger than keep-limit",
		[SPOOL_KEPT_GONE] = "the file was gone before it was seen",
		[SPOOL_KEPT_REPLACED] = "the file was another build before it was seen",
	};

	if (l->kept == SPOOL_KEPT_FAILED)
		return strerror((int)l->kept_error);
	return l->kept < ARRAY_SIZE(reasons) && reasons[l->kept] ? reasons[l->kept] : "";
}
