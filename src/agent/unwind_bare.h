/* Steps out of code without unwind information.  Signal-safe; as unwind_walk.h has it. */
#ifndef AGENT_UNWIND_BARE_H
#define AGENT_UNWIND_BARE_H

#include "agent/unwind_walk.h"

/* Code that keeps rbp as frame pointer: Go, JIT compilers, assembler.  Where it does not, rbp
 * is any number, so everything is checked.  Go's C calls switch from the goroutine's stack to
 * the thread's, with rbp kept (runtime.asmcgocall): there the caller's frame may lie anywhere.
 */
bool bare_step(struct walk *w, union rule rule);
/* The way out of the code was read from its instructions (SHAPE_CODE_RSP, SHAPE_CODE).  Where
 * what they lead to is no return address, the frame is left as by bare_step(). */
bool bare_step_code(struct walk *w, union rule rule);
/* Code of no library. */
bool bare_step_generated(struct walk *w, union rule rule);
/* As if nothing had been called (SHAPE_INJECTED): on with what the preemption interrupted. */
bool bare_step_injected(struct walk *w, union rule rule);
/* Called through a null or wild function pointer: nothing is at the pc, but the call has pushed
 * where it came from. */
bool bare_step_wild(struct walk *w);

/* Is there a call, direct or not, right before RA? */
bool bare_is_behind_call(struct walk *w, uint64_t ra);

#endif
