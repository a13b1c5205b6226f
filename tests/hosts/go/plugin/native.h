#ifndef HOSTS_GO_NATIVE_H
#define HOSTS_GO_NATIVE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A unit of work in C, some calls deep. */
uint64_t c_work(uint64_t value);
/* C++: a sort and a virtual call. */
uint64_t cxx_work(uint64_t value);
/* C, which calls goCallback, which calls c_inner. */
uint64_t c_calls_go(uint64_t value);
uint64_t c_inner(uint64_t value);
/* C++ that throws and catches above a callback into Go. */
uint64_t cxx_catches(uint64_t value);
/* A block that c_free() frees; C++ containers allocate as well. */
void *c_allocate(uint64_t size);
void c_release(void *block);

#ifdef __cplusplus
}
#endif

#endif
