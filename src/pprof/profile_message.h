/* profile.proto as it lies in a file, gzipped or plain: unpacked, but not yet believed. */
#ifndef PPROF_PROFILE_MESSAGE_H
#define PPROF_PROFILE_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "proto/profile.pb-c.h"

struct profile_message {
	Perftools__Profiles__Profile *profile;
	size_t size; /* bytes, before compression */
	bool is_gzipped;
};

/* 0: the caller's to profile_message_close().  Otherwise as profile_load(), *WHY included. */
int profile_message_open(const uint8_t *data, size_t size, struct profile_message *ret,
	char **why) MUST_CHECK;
void profile_message_close(struct profile_message *m);

#endif
