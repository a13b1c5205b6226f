/* .load ./hosted: the SQL function hosted_work(rounds). */
#include <sqlite3ext.h>

#include "kernel.h"

SQLITE_EXTENSION_INIT1

static void work(sqlite3_context *context, int count, sqlite3_value **values)
{
	(void)count;
	sqlite3_result_int64(
		context, (int64_t)(hosted_work((uint64_t)sqlite3_value_int64(values[0])) >> 1));
}

int sqlite3_hosted_init(sqlite3 *db, char **message, const sqlite3_api_routines *api)
{
	(void)message;
	SQLITE_EXTENSION_INIT2(api);
	return sqlite3_create_function(
		db, "hosted_work", 1, SQLITE_UTF8, NULL, work, NULL, NULL);
}
