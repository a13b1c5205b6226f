/* What the tool says to people: lines on stderr that begin with "plugprof: ". */
#ifndef CLI_MESSAGE_H
#define CLI_MESSAGE_H

#include "base/compiler.h"

enum exit_status {
	EXIT_OK = 0,
	EXIT_OWN_ERROR = 1,
	EXIT_USAGE = 2,
	EXIT_UNRESOLVED = 3, /* --strict: something has no name */
	EXIT_FINDINGS = 3, /* what was asked about is not as it should be */
};

void message(const char *format, ...) PRINTF_LIKE(1, 2);
/* "...: what went wrong" for a negative errno. */
void message_errno(int error, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
