/*
 * The store: a folder of kept library files and symbol maps, each under its build-ID.  It can be
 * copied, served, or put in an image.
 *
 *     STORE/ab/cdef....elf    a library's file, kept when it was loaded
 *     STORE/ab/cdef....psym   a symbol map
 *
 * PLUGPROF_SYMBOLS is a list of such folders with colons between them, as PATH is.  Without it they
 * are $XDG_CACHE_HOME/plugprof or else $HOME/.cache/plugprof, and /var/tmp/plugprof-UID.  All are
 * searched; the first one that can be written to is.
 *
 * No allocation, no stdio; not for handlers (getenv).
 */
#ifndef BASE_STORE_H
#define BASE_STORE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/build_id.h"

#define STORE_VARIABLE "PLUGPROF_SYMBOLS"
#define STORE_PATH_MAX PATH_MAX

#define STORE_KEPT_SUFFIX ".elf"
#define STORE_MAP_SUFFIX ".psym"
/* A library without build-ID is kept under its content ID, see base/content_id.h. */
#define STORE_CONTENT_SUFFIX ".content.elf"

/* Folder number INDEX of the list, without a slash at its end.  False: there is none, or its name
 * is too long. */
bool store_folder(size_t index, char folder[static STORE_PATH_MAX]);

/* FOLDER is there, and may be believed: somebody named it, or it belongs to this user (or root) and
 * nobody else can write to it. */
bool store_is_trusted(const char *folder);

/* "FOLDER/ab/cdef....SUFFIX".  False: ID has less than two bytes, or PATH is too small. */
bool store_entry(const char *folder, const struct build_id *id, const char *suffix, char *path,
	size_t size);

#endif
