/* A report as JSON, for programs; the names of its members are stable (plugprof-inspect(1)). */
#ifndef CLI_REPORT_JSON_H
#define CLI_REPORT_JSON_H

#include "cli/json.h"
#include "cli/report.h"

/* The members of the object that was begun. */
void report_json(struct json *j, const struct report *report);

#endif
