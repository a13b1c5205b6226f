#include "cli/places.h"

#include <stdio.h>
#include <string.h>

#include "cli/message.h"

static void print_answers(const struct symbol_module *m)
{
	struct symbol_answer answers[SYMBOL_ANSWERS_MAX];
	const size_t count = symbol_module_answers(m, answers);
	char text[512] = "";
	size_t used = 0;

	for (size_t i = 0; i < count && used < sizeof(text); i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s %zu by %s",
			i ? "," : "", answers[i].count, answers[i].source);
	message("  addresses answered:%s", count ? text : " none was asked for");
}

void places_print(const struct symbol_module *m)
{
	const struct symbol_step *steps;
	const size_t count = symbol_module_steps(m, &steps);
	char hex[BUILD_ID_HEX_SIZE];

	build_id_to_hex(symbol_module_build_id(m), hex);
	message("%s, build-ID %s: %s",
		symbol_module_path(m)[0] ? symbol_module_path(m) : "(no path)",
		hex[0] ? hex : "unknown", symbol_verdict_word(symbol_module_verdict(m)));
	for (size_t i = 0; i < count; i++)
		message("  %s%s%s: %s", symbol_place_name(steps[i].place),
			steps[i].path[0] ? ": " : "", steps[i].path, steps[i].outcome);
	print_answers(m);
}

void places_print_warnings(const struct symbol_module *m)
{
	const struct symbol_step *steps;
	const size_t count = symbol_module_steps(m, &steps);

	for (size_t i = 0; i < count; i++)
		if (steps[i].warns)
			message("%s is not used: %s", steps[i].path, steps[i].outcome);
}

void places_json(struct json *j, const struct symbol_module *m)
{
	struct symbol_answer answers[SYMBOL_ANSWERS_MAX];
	const size_t answer_count = symbol_module_answers(m, answers);
	const struct symbol_step *steps;
	const size_t step_count = symbol_module_steps(m, &steps);
	char hex[BUILD_ID_HEX_SIZE];

	json_begin_object(j, NULL);
	json_text(j, "path", symbol_module_path(m));
	json_text(j, "build_id", build_id_to_hex(symbol_module_build_id(m), hex));
	json_begin_list(j, "places");
	for (size_t i = 0; i < step_count; i++) {
		json_begin_object(j, NULL);
		json_text(j, "place", symbol_place_name(steps[i].place));
		json_text(j, "path", steps[i].path);
		json_text(j, "outcome", steps[i].outcome);
		json_end_object(j);
	}
	json_end_list(j);
	json_begin_list(j, "answers");
	for (size_t i = 0; i < answer_count; i++) {
		json_begin_object(j, NULL);
		json_text(j, "source", answers[i].source);
		json_number(j, "addresses", (int64_t)answers[i].count);
		json_end_object(j);
	}
	json_end_list(j);
	json_end_object(j);
}

void places_tell(void *context, struct symbol_module *m)
{
	const enum places_detail *detail = context;

	if (*detail == PLACES_ALL)
		places_print(m);
	else if (*detail == PLACES_WARNINGS)
		places_print_warnings(m);
}
