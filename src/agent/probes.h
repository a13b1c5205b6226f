/*
 * USDT probes for sampled allocations, which collectors outside of the process may attach to: a nop
 * where nobody does.  Names and arguments are OpenTelemetry's (otel_memory); the form of the note
 * is that of SystemTap's <sys/sdt.h>, version 3: address, base, semaphore (none), provider, name,
 * and the arguments as 8-byte words in registers.
 */
#ifndef AGENT_PROBES_H
#define AGENT_PROBES_H

#include <stdint.h>

#define PROBE_NOTE(name, arguments)                                                     \
	"990: nop\n"                                                                    \
	".pushsection .note.stapsdt, \"\", \"note\"\n"                                  \
	".balign 4\n"                                                                   \
	".4byte 992f - 991f, 994f - 993f, 3\n"                                          \
	"991: .asciz \"stapsdt\"\n"                                                     \
	"992: .balign 4\n"                                                              \
	"993: .8byte 990b, _.stapsdt.base, 0\n"                                         \
	".asciz \"otel_memory\"\n"                                                      \
	".asciz \"" name "\"\n"                                                         \
	".asciz \"" arguments "\"\n"                                                    \
	"994: .balign 4\n"                                                              \
	".popsection\n"                                                                 \
	".ifndef _.stapsdt.base\n"                                                      \
	".pushsection .stapsdt.base, \"aG\", \"progbits\", .stapsdt.base, comdat\n"     \
	".weak _.stapsdt.base\n"                                                        \
	".hidden _.stapsdt.base\n"                                                      \
	"_.stapsdt.base: .space 1\n"                                                    \
	".size _.stapsdt.base, 1\n"                                                     \
	".popsection\n"                                                                 \
	".endif\n"

static inline void probe_alloc(uint64_t address, uint64_t size, uint64_t weighted_bytes)
{
	__asm__ volatile(PROBE_NOTE("alloc", "8@%0 8@%1 8@%2")::"r"(address), "r"(size),
		"r"(weighted_bytes));
}

static inline void probe_free(uint64_t address)
{
	__asm__ volatile(PROBE_NOTE("free", "8@%0")::"r"(address));
}

#undef PROBE_NOTE

#endif
