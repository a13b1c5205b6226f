/* Where a module's symbols were looked for, and what came of it: for people who ask why. */
#ifndef SYMBOL_TRAIL_H
#define SYMBOL_TRAIL_H

#include "base/build_id.h"
#include "base/compiler.h"
#include "base/vec.h"
#include "symbol/symbolizer.h"

struct trail {
	VEC(struct symbol_step) steps;
};

/* All of these take NULL for a trail that nobody wants. */
void trail_note(struct trail *t, enum symbol_place place, const char *path, const char *format, ...)
	PRINTF_LIKE(4, 5);
/* The same for what people should hear of without asking. */
void trail_warn(
	struct trail *t, enum symbol_place place, const char *path, const char *outcome);
/* PATH could not be opened: a negative errno, as binary_open() gives it. */
void trail_note_error(struct trail *t, enum symbol_place place, const char *path, int error);
/* PATH is of the build FOUND, not of the one that is WANTED. */
void trail_note_other_build(struct trail *t, enum symbol_place place, const char *path,
	const struct build_id *found, const struct build_id *wanted);
void trail_free(struct trail *t);

#endif
