/* For every test a new folder, and a spool in it. */
#ifndef TESTS_SPOOL_FIXTURE_H
#define TESTS_SPOOL_FIXTURE_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spool/spool_reader.h"
#include "spool/spool_writer.h"

static char root[] = "/tmp/test_spool.XXXXXX";
static char folder[200], path[300]; /* of the spools; of the latest one */
static struct spool_writer w;

static void make_folder(void)
{
	strcpy(root + sizeof(root) - 7, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root));
	snprintf(folder, sizeof(folder), "%s/spools", root);
}

static void remove_folder(void)
{
	char command[300];

	spool_abandon(&w);
	snprintf(command, sizeof(command), "rm -rf '%s'", root);
	ck_assert_int_eq(system(command), 0);
}

static struct spool_reader *read_back(void)
{
	struct spool_reader *r = NULL;

	ck_assert_int_eq(spool_reader_open(path, &r), 0);
	return r;
}

/* The labels that notes among FRAMES stand for, as "key=value key=value". */
static inline const char *labels_of(const spool_frame *frames, size_t frame_count)
{
	static char text[4096];
	struct spool_label_view labels[SPOOL_LABELS_MAX];
	struct spool_reader *r = read_back();
	char *end = text;

	*end = '\0';
	for (size_t i = 0, n = spool_reader_labels(r, frames, frame_count, labels); i < n; i++)
		end += sprintf(end, "%s%s=%s", i ? " " : "", labels[i].key, labels[i].value);
	spool_reader_free(r);
	return text;
}

#endif
