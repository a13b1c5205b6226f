/* Processes of a recording that still run when its program has ended: daemons and their workers. */
#ifndef CLI_STRAGGLERS_H
#define CLI_STRAGGLERS_H

#include <stdbool.h>
#include <stdint.h>

/* Are there any of SESSION, with their spools in FOLDER? */
bool stragglers_are_there(const char *folder, uint64_t session);

/* One line that names them, and tells how to come by their profiles; none if there are none. */
void stragglers_say(const char *folder, uint64_t session);

#endif
