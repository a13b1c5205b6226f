#include "cli/doctor_report.h"

#include <stdio.h>

void doctor_report_begin(struct doctor_report *report)
{
	if (!report->as_json)
		return;
	report->json = (struct json){ .to = stdout };
	json_begin_object(&report->json, NULL);
	json_begin_list(&report->json, "files");
}

static void write_json(struct json *j, const struct doctor_case *c, const struct findings *f)
{
	char hex[BUILD_ID_HEX_SIZE];

	json_begin_object(j, NULL);
	json_text(j, "path", c->name);
	if (c->library)
		json_text(j, "build_id", build_id_to_hex(&c->library->build_id, hex));
	if (c->library && c->library->debug.has_text) {
		snprintf(hex, sizeof(hex), "%08x", c->library->debug.text_crc32);
		json_text(j, "text_crc32", hex);
	}
	findings_write_json(f, j, "checks");
	json_end_object(j);
}

static void print_text(const struct doctor_report *report, const struct doctor_case *c,
	const struct findings *f)
{
	const bool all = !report->quiet_when_good;

	if (!all && findings_count(f, FINDING_PROBLEM) == 0)
		return;
	if (report->titled)
		printf("%s\n", c->name);
	findings_print(f, report->titled ? "  " : "", all);
}

void doctor_report_add(
	struct doctor_report *report, const struct doctor_case *c, const struct findings *f)
{
	report->library_count++;
	report->problem_count += findings_count(f, FINDING_PROBLEM) > 0;
	if (report->as_json)
		write_json(&report->json, c, f);
	else
		print_text(report, c, f);
}

static void end_json(struct doctor_report *report)
{
	json_end_list(&report->json);
	json_number(&report->json, "libraries", (int64_t)report->library_count);
	json_number(&report->json, "libraries_with_findings", (int64_t)report->problem_count);
	json_end_object(&report->json);
}

void doctor_report_end(struct doctor_report *report)
{
	if (report->as_json)
		end_json(report);
	else if (report->quiet_when_good && report->library_count > 0)
		printf("%zu librar%s, %zu with findings\n", report->library_count,
			report->library_count == 1 ? "y" : "ies", report->problem_count);
}
