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

/* The heap profile's name for a CPU profile NAME: ".cpu.pb.gz" becomes ".heap.pb.gz"; another one
 * gets ".heap" before its ".pb.gz" if it is BESIDE a CPU profile of that name, and stays if it is
 * alone.  The caller's to free(). */
char *output_name_of_heap(const char *name, bool beside);

/* NAME is a file, or may become one: no device and no pipe. */
bool output_name_is_file(const char *name);

/* NAME, or when a file of that name is there NAME with the pid, if it lacks it, and then a
 * number. */
char *output_name_unused(const char *name, unsigned int pid);

/* Can a file of this name be made?  0 or -errno, with *FOLDER (free()d by the caller) the
 * folder asked. */
int output_name_check(const char *name, char **folder);

#endif
