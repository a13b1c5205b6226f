/*
 * What is set once for all commands of the tool: lines "store = FOLDER" and "symbols = FOLDER" in
 * $XDG_CONFIG_HOME/plugprof/config (else ~/.config/plugprof/config) and /etc/plugprof.conf.
 *
 * The library in the program does not read them: files of the host's machine are none of its
 * business, and its time at start is the host's.  Programs that `plugprof record` starts are told.
 */
#ifndef CLI_CONFIGURATION_H
#define CLI_CONFIGURATION_H

#include <stdbool.h>

/* Read them, and set PLUGPROF_SYMBOLS to the stores unless it is set already.  A line that cannot
 * be understood is passed over; SAY_WHY: with one line on stderr. */
void configuration_read(bool say_why);

/* The folders that "symbols" lines name, with colons between them; "" for none. */
const char *configuration_symbols(void);

#endif
