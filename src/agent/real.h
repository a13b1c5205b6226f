/*
 * The functions behind our hooks, and other functions of libc that are looked up rather than
 * linked. Filled once by real_start(); dlsym cannot be asked from handlers.
 */
#ifndef AGENT_REAL_H
#define AGENT_REAL_H

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <threads.h>

struct dl_find_object;

struct real {
	void *(*dlsym)(void *handle, const char *name);
	void *(*dlopen)(const char *name, int mode);
	void *(*dlmopen)(long /* Lmid_t */ space, const char *name, int mode);
	int (*dlclose)(void *handle);
	int (*find_object)(void *pc, struct dl_find_object *found); /* NULL: glibc < 2.35 */
	int (*pthread_create)(pthread_t *thread, const pthread_attr_t *attr,
		void *(*start)(void *), void *argument);
	int (*thrd_create)(thrd_t *thread, thrd_start_t start, void *argument);
	int (*pthread_setname_np)(pthread_t thread, const char *name);
	int (*prctl)(int option, ...);
	int (*sigaction)(int number, const struct sigaction *action, struct sigaction *old);
	void (*(*signal)(int number, void (*handler)(int)))(int);
	void (*(*__sysv_signal)(int number, void (*handler)(int)))(int);
	void (*(*sigset)(int number, void (*handler)(int)))(int);
	int (*sigprocmask)(int how, const sigset_t *set, sigset_t *old);
	int (*pthread_sigmask)(int how, const sigset_t *set, sigset_t *old);
	int (*sigwait)(const sigset_t *set, int *number);
	int (*sigwaitinfo)(const sigset_t *set, siginfo_t *info);
	int (*sigtimedwait)(
		const sigset_t *set, siginfo_t *info, const struct timespec *timeout);
	long (*syscall)(long number, ...);
	int (*daemon)(int keep_folder, int keep_output);
	void (*_exit)(int status) __attribute__((noreturn));
	/* What pthread_atfork() and at_quick_exit() call, which are in every library that does. */
	int (*__register_atfork)(void (*before)(void), void (*in_parent)(void),
		void (*in_child)(void), void *library);
	int (*__cxa_at_quick_exit)(void (*function)(void *), void *library);
	bool sanitizer; /* AddressSanitizer or its kin is there: nothing may be asked of it early */
};

extern struct real real;

/* Look them all up, once; later calls return at once.  Hooks call it too: another library's
 * constructor may run before ours.  Allocates nothing of its own.  musl lacks some. */
void real_start(void);

#endif
