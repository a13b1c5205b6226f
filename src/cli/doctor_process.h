/* The doctor's look at a running process: every library that it runs code from. */
#ifndef CLI_DOCTOR_PROCESS_H
#define CLI_DOCTOR_PROCESS_H

#include "cli/doctor_report.h"

/* Examine what process PID has loaded.  HOST NULL: its own program is the host.  The exit
 * status; what went wrong has been said. */
int doctor_examine_process(unsigned int pid, const struct inspection *host,
	const struct symbolizer_options *places, struct doctor_report *report);

#endif
