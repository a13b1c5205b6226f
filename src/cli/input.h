/* A profile from whatever the user names: a spool, a pprof file, or - for standard input. */
#ifndef CLI_INPUT_H
#define CLI_INPUT_H

#include "base/compiler.h"
#include "pprof/profile.h"

/* 0, and *RET is the caller's to profile_free(); else -errno after one line was said. */
int input_open(const char *path, struct profile **ret) MUST_CHECK;

#endif
