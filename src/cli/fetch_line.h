/* What is fetched over the network, told on a terminal while people wait. */
#ifndef CLI_FETCH_LINE_H
#define CLI_FETCH_LINE_H

#include "symbol/symbolizer.h"

/* For symbolizer_options.fetching. */
extern const struct symbol_fetching fetch_line;

#endif
