/* Where the parts of a spool lie in its file, and how big they may grow. */
#ifndef SPOOL_LAYOUT_H
#define SPOOL_LAYOUT_H

#include <stdint.h>

#include "spool/spool_format.h"
#include "spool/spool_writer.h"

#define MADV_POPULATE_WRITE_NUMBER 23 /* Linux 5.14; not in Debian 12's headers */

/* Fill in HEADER's sections, as IDENTITY and the process's limits want them.  The size of the whole
 * file, in whole pages. */
uint64_t spool_lay_out(struct spool_header *header, const struct spool_identity *identity);

#endif
