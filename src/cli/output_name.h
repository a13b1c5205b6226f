/* Where a profile goes: names with %p %t %h %e %n in them, and names that are taken. */
#ifndef CLI_OUTPUT_NAME_H
#define CLI_OUTPUT_NAME_H

#include <stdbool.h>

#include "base/compiler.h"
#include "spool/spool_reader.h"

/* TEMPLATE for this process: %p pid, %e program, %h host, %t start as 20261121-093059, %n how many
 * programs this pid ran before, %%.  A relative one is put below the folder the process was
 * started in, unless IS_OURS: then it was given to us.  The caller's to free(). */
char *output_name_expand(
	const char *template, const struct spool_reader *spool, bool is_ours) MUST_CHECK;

/* NAME with ".MIDDLE" before its ".pb.gz" (or at its end).  The caller's to free(). */
char *output_name_insert(const char *name, const char *middle);

/* NAME, or when a file of that name is there NAME with the pid, if it lacks it, and then a
 * number. */
char *output_name_unused(const char *name, unsigned int pid);

/* Can a file of this name be made?  0 or -errno, with *FOLDER (free()d by the caller) the
 * folder asked. */
int output_name_check(const char *name, char **folder);

#endif
