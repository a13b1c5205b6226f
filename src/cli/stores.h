/* Where kept files, symbol maps and debug files are looked for: lists of folders. */
#ifndef CLI_STORES_H
#define CLI_STORES_H

#include "base/vec.h"

struct folders {
	VEC(const char *) list; /* to a NULL */
	char *text; /* what they lie in */
};

/* The folders of a list with colons between them, as PATH is; NULL: none.  The caller's to
 * folders_free(). */
void folders_split(struct folders *f, const char *text);
void folders_free(struct folders *f);

/* Stores: the folders that the user NAMED (NULL-terminated), those of RECORDED (a list with colons
 * out of a profile; NULL: none), those that are set here (base/store.h).  The latter two only as
 * far as they can be trusted.  NAMED is borrowed. */
void folders_find_stores(
	struct folders *f, const char *const *named, const char *recorded);

#endif
