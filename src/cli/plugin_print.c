#include "cli/plugin_print.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/build_id.h"
#include "base/compiler.h"
#include "cli/plain_text.h"
#include "cli/plugin_remarks.h"
#include "cli/report.h"

#define CELL_SIZE (BUILD_ID_HEX_SIZE + 16)
#define SHORT_ID 12 /* digits */

/* --- cells --- */

struct cell {
	const struct plugin_table *table;
	const struct plugin_row *row; /* a library's; or, without a path, only costs */
	bool verbose;
	char text[CELL_SIZE];
};

#define PUT(cell, ...) snprintf((cell)->text, sizeof((cell)->text), __VA_ARGS__)

static void put_milliseconds(struct cell *c, enum plugin_cost cost)
{
	if (c->row->costs[cost] >= 0)
		PUT(c, "%.0f", (double)c->row->costs[cost] / 1e6);
}

static void put_cpu(struct cell *c)
{
	put_milliseconds(c, COST_CPU);
}

static void put_share(struct cell *c)
{
	const int64_t all = c->table->all[COST_CPU];

	PUT(c, "%.1f%%", all > 0 ? 100.0 * (double)c->row->costs[COST_CPU] / (double)all : 0.0);
}

static void put_self(struct cell *c)
{
	put_milliseconds(c, COST_CPU_SELF);
}

static void put_total(struct cell *c)
{
	put_milliseconds(c, COST_CPU_TOTAL);
}

static void put_mebibytes(struct cell *c, enum plugin_cost cost)
{
	PUT(c, "%.1f", (double)c->row->costs[cost] / (1 << 20));
}

static void put_allocated(struct cell *c)
{
	put_mebibytes(c, COST_ALLOCATED);
}

static void put_live(struct cell *c)
{
	put_mebibytes(c, COST_LIVE);
}

static void put_leaked(struct cell *c)
{
	put_mebibytes(c, COST_LEAKED);
}

static void put_loads(struct cell *c)
{
	if (c->row->has_life)
		PUT(c, "%" PRIu64, c->row->life.loads);
}

static void put_unloads(struct cell *c)
{
	if (c->row->has_life)
		PUT(c, "%" PRIu64, c->row->life.unloads);
}

static void put_references(struct cell *c)
{
	if (c->row->life.references >= 0)
		PUT(c, "%" PRId64, c->row->life.references);
}

static void put_descriptors(struct cell *c)
{
	int64_t growth;

	if (plugin_row_descriptors(c->row, &growth))
		PUT(c, growth ? "%+" PRId64 : "%" PRId64, growth);
}

/* "7", "993-1000", and with gaps the latest: "..,5,7". */
static void put_generations(struct cell *c)
{
	const struct life *l = &c->row->life;
	const size_t count = l->generations.count;
	const struct life_generation *first = l->generations.items, *last;

	if (count == 0)
		return;
	last = first + count - 1;
	if (count == 1)
		PUT(c, "%" PRIu64, last->number);
	else if (last->number - first->number == count - 1)
		PUT(c, "%" PRIu64 "-%" PRIu64, first->number, last->number);
	else
		PUT(c, "%s%" PRIu64 ",%" PRIu64, count > 2 || l->loads > count ? "..," : "",
			last[-1].number, last->number);
}

static void put_build_id(struct cell *c)
{
	const struct life *l = &c->row->life;

	if (l->build_id[0])
		PUT(c, "%.*s", c->verbose ? 2 * BUILD_ID_SIZE_MAX : SHORT_ID, l->build_id);
	else if (l->content_id)
		PUT(c, "none");
}

enum needs { NEEDS_NOTHING, NEEDS_CPU, NEEDS_HEAP, NEEDS_LIVES };

static const struct column {
	const char *title;
	enum needs needs;
	int width; /* negative: to the left */
	void (*put)(struct cell *);
} columns[] = {
	{ "cpu ms", NEEDS_CPU, 7, put_cpu },
	{ "of all", NEEDS_CPU, 6, put_share },
	{ "self", NEEDS_CPU, 7, put_self },
	{ "total", NEEDS_CPU, 7, put_total },
	{ "alloc MiB", NEEDS_HEAP, 9, put_allocated },
	{ "live", NEEDS_HEAP, 7, put_live },
	{ "leaked", NEEDS_HEAP, 7, put_leaked },
	{ "loads", NEEDS_LIVES, 5, put_loads },
	{ "unloads", NEEDS_LIVES, 7, put_unloads },
	{ "open", NEEDS_LIVES, 4, put_references },
	{ "fds", NEEDS_LIVES, 5, put_descriptors },
	{ "generations", NEEDS_LIVES, -11, put_generations },
	{ "build-id", NEEDS_NOTHING, -SHORT_ID, put_build_id },
};

static bool has_column(const struct plugin_table *table, const struct column *column)
{
	return column->needs == NEEDS_NOTHING || (column->needs == NEEDS_CPU && table->has_cpu) ||
		(column->needs == NEEDS_HEAP && table->has_heap) ||
		(column->needs == NEEDS_LIVES && table->has_lives);
}

static int width_of(const struct column *column, bool verbose)
{
	return verbose && column->put == put_build_id ? -40 : column->width;
}

/* --- lines --- */

static void print_cell(FILE *to, const char *text, int width)
{
	const int padding = abs(width) - (int)strlen(text);

	if (width > 0 && padding > 0)
		fprintf(to, "%*s", padding, "");
	plain_put(to, text);
	if (width < 0 && padding > 0)
		fprintf(to, "%*s", padding, "");
	fputc(' ', to);
}

static void print_titles(FILE *to, const struct plugin_table *table, bool verbose)
{
	for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
		if (has_column(table, &columns[i]))
			print_cell(to, columns[i].title, width_of(&columns[i], verbose));
	fputs("plugin\n", to);
}

static void print_row(FILE *to, const struct plugin_table *table, const struct plugin_row *row,
	const char *name, bool verbose)
{
	for (size_t i = 0; i < ARRAY_SIZE(columns); i++) {
		struct cell cell = {
			.table = table, .row = row, .verbose = verbose, .text = "-"
		};

		if (!has_column(table, &columns[i]))
			continue;
		columns[i].put(&cell);
		print_cell(to, cell.text, width_of(&columns[i], verbose));
	}
	plain_put(to, name[0] ? name : "-");
	fputc('\n', to);
}

/* What no row of a library shows, so that the shares add up to all. */
static void print_rest(FILE *to, const struct plugin_table *table, const int64_t *costs,
	const char *name, bool verbose)
{
	static char none[] = "";
	struct plugin_row row = { .life = { .path = none,
		.build_id = none,
		.references = -1,
		.descriptors_before = -1 } };

	memcpy(row.costs, costs, sizeof(row.costs));
	if (!row.costs[COST_CPU] && !row.costs[COST_ALLOCATED] && !row.costs[COST_LIVE])
		return;
	row.costs[COST_CPU_SELF] = row.costs[COST_CPU_TOTAL] = -1;
	print_row(to, table, &row, name, verbose);
}

static void print_generations(FILE *to, const struct life *l)
{
	if (l->loads > l->generations.count && l->generations.count)
		fprintf(to, "        %" PRIu64 " loads, the latest:\n", l->loads);
	for (size_t i = 0; i < l->generations.count; i++) {
		const struct life_generation *g = &l->generations.items[i];

		fprintf(to, "        generation %" PRIu64 ": loaded at %.3f s, ", g->number,
			(double)g->load_ns / 1e9);
		if (g->is_unloaded)
			fprintf(to, "unloaded at %.3f s\n", (double)g->unload_ns / 1e9);
		else
			fputs("not unloaded\n", to);
	}
}

static void print_remarks(FILE *to, const struct plugin_table *table)
{
	plugin_remarks remarks;

	plugin_remarks_find(table, &remarks);
	if (remarks.count)
		fputc('\n', to);
	for (size_t i = 0; i < remarks.count; i++) {
		char *name = plugin_row_name(table, remarks.items[i].row);

		plain_put(to, name);
		fputs(": ", to);
		plain_put(to, remarks.items[i].text);
		fputc('\n', to);
		free(name);
	}
	plugin_remarks_free(&remarks);
}

void plugin_print(FILE *to, const struct plugin_table *table, bool verbose)
{
	print_titles(to, table, verbose);
	for (size_t i = 0; i < table->rows.count; i++) {
		const struct plugin_row *row = &table->rows.items[i];

		print_row(to, table, row, row->life.path, verbose);
		if (verbose)
			print_generations(to, &row->life);
	}
	print_rest(to, table, table->untold, "(several builds, not known which)", verbose);
	print_rest(to, table, table->others, "(other libraries)", verbose);
	print_rest(to, table, table->host, table->has_labels ? REPORT_HOST : "(no label)", verbose);
	print_remarks(to, table);
}
