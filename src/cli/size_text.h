/* Bytes for people. */
#ifndef CLI_SIZE_TEXT_H
#define CLI_SIZE_TEXT_H

#include <stdint.h>
#include <stdio.h>

/* 512 B, 64.0 MiB, -1.5 KiB; in TEXT, which is given back. */
static inline const char *size_text(int64_t bytes, char *text, size_t size)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };
	double value = (double)bytes;
	int unit = 0;

	for (; unit < 5 && (value >= 1023.95 || value <= -1023.95); unit++)
		value /= 1024;
	snprintf(text, size, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
	return text;
}

#endif
