/* What a table of plugins shows to who knows how to read it, in words: leaks of handles, of
 * descriptors, of memory. */
#ifndef CLI_PLUGIN_REMARKS_H
#define CLI_PLUGIN_REMARKS_H

#include "base/vec.h"
#include "cli/plugin_table.h"

struct plugin_remark {
	const char *kind; /* one word, for programs; plugprof-plugins(1) lists them */
	const struct plugin_row *row; /* of the table */
	char *text; /* follows the plugin's name and a colon */
};

typedef VEC(struct plugin_remark) plugin_remarks;

/* Of a sorted TABLE, the gravest first.  Valid as long as the table; to plugin_remarks_free(). */
void plugin_remarks_find(const struct plugin_table *table, plugin_remarks *found);
void plugin_remarks_free(plugin_remarks *remarks);

/* What tells ROW from others in TABLE, the caller's to free(): its file name, and the start of the
 * build-ID where several have that name. */
char *plugin_row_name(const struct plugin_table *table, const struct plugin_row *row);

/* How many more descriptors the process had open than before the library was first loaded.  False:
 * not known. */
bool plugin_row_descriptors(const struct plugin_row *row, int64_t *growth);

#endif
