/*
 * What cxxhost and its plugin agree on: exceptions may cross, both ways.
 */
#ifndef SAMPLES_BOUNDARY_H
#define SAMPLES_BOUNDARY_H

#include <stdint.h>
#include <stdexcept>

/* Given back by the plugin when it has had enough of a value. */
struct __attribute__((visibility("default"))) boundary_error : std::runtime_error {
	explicit boundary_error(uint64_t v) : std::runtime_error("boundary"), value(v) {}
	uint64_t value;
};

/* Throws boundary_error for an odd VALUE, after two units of work; gives an
 * even one to CALLBACK, and lets pass what that throws. */
extern "C" __attribute__((visibility("default")))
uint64_t boundary_run(uint64_t value, uint64_t (*callback)(uint64_t value));

#endif
