#include "cli/report_json.h"

static void module_json(struct json *j, const struct module_report *m)
{
	json_begin_object(j, NULL);
	json_text(j, "path", m->path);
	json_text(j, "build_id", m->build_id);
	json_text(j, "verdict", m->verdict);
	json_text(j, "reason", m->reason);
	json_number(j, "frames", m->frames);
	json_number(j, "named", m->resolved);
	json_number(j, "self", m->self);
	json_end_object(j);
}

void report_json(struct json *j, const struct report *report)
{
	json_number(j, "frames", report->frames);
	json_number(j, "named", report->resolved);
	json_begin_list(j, "modules");
	for (size_t i = 0; i < report->modules.count; i++)
		module_json(j, &report->modules.items[i]);
	json_end_list(j);
	json_begin_list(j, "plugins");
	for (size_t i = 0; i < report->plugins.count; i++) {
		json_begin_object(j, NULL);
		json_text(j, "name", report->plugins.items[i].name);
		json_number(j, "value", report->plugins.items[i].value);
		json_end_object(j);
	}
	json_end_list(j);
}
