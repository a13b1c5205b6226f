/*
 * Labels for plugprof's samples: what a thread is working on.
 *
 *	plugprof_set_label("tenant", "blue");
 *	...
 *	plugprof_set_label("tenant", NULL);
 *
 * Nothing needs to be linked: without libplugprof.so in the process the call does nothing.  See
 * plugprof_set_label(3).
 */
#ifndef PLUGPROF_H
#define PLUGPROF_H

#ifdef __cplusplus
extern "C" {
#endif

/* More than this is refused: labels of a thread, bytes of a key, and of all keys and values
 * together, each with a byte more. */
#define PLUGPROF_LABELS_MAX 8
#define PLUGPROF_LABEL_KEY_MAX 63
#define PLUGPROF_LABEL_BYTES_MAX 512

/* libplugprof.so's own; a weak reference, which is null where that is not loaded. */
int plugprof_set_thread_label(const char *key, const char *value) __attribute__((weak));

/*
 * The calling thread's samples, of CPU time and of allocations, carry VALUE under KEY from now on;
 * with a VALUE of NULL, or empty, nothing under KEY.  Both are copied; they should be UTF-8.  New
 * threads begin without labels.  While a goroutine runs that has such a label of its own
 * (runtime/pprof), its samples carry that.
 *
 * 0; -1 when a limit above is passed, KEY is NULL or empty, too many threads have labels (2048), or
 * the call has interrupted another of the same thread: labels are then as before.
 * Async-signal-safe, thread-safe; errno is left alone.
 */
static inline int plugprof_set_label(const char *key, const char *value)
{
	return plugprof_set_thread_label ? plugprof_set_thread_label(key, value) : 0;
}

#ifdef __cplusplus
}
#endif

#endif
