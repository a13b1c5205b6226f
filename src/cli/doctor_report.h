/* What `plugprof doctor` prints: a section for each library, as text or as JSON. */
#ifndef CLI_DOCTOR_REPORT_H
#define CLI_DOCTOR_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/doctor.h"

struct doctor_report {
	bool as_json;
	struct json json; /* the document, when it is one */
	bool titled; /* there is more than one library */
	bool quiet_when_good; /* only findings, and only libraries that have some; not in JSON
			       */
	size_t library_count;
	size_t problem_count; /* libraries with findings */
};

void doctor_report_begin(struct doctor_report *report);
/* C's library may be NULL: a file that could not be read. */
void doctor_report_add(
	struct doctor_report *report, const struct doctor_case *c, const struct findings *f);
void doctor_report_end(struct doctor_report *report);

#endif
