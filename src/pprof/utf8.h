/* Text that every reader of a profile takes: some refuse the whole file for one bad byte. */
#ifndef PPROF_UTF8_H
#define PPROF_UTF8_H

#include "base/compiler.h"

/* NULL: TEXT is valid UTF-8 (RFC 3629: shortest forms, no surrogates, up to U+10FFFF).  Else
 * a copy, free()'d by the caller, with U+FFFD for each byte that begins no valid sequence. */
char *utf8_repair(const char *text) MUST_CHECK;

#endif
