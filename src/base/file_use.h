/*
 * Does anybody write to a file?  The kernel gives a read lease (fcntl(2), F_SETLEASE) only while no
 * process, in whatever namespace, has the file open for writing; and it is open for as long as a
 * shared mapping of it is there, whatever became of the descriptor.
 */
#ifndef BASE_FILE_USE_H
#define BASE_FILE_USE_H

#include <errno.h>
#include <fcntl.h>

enum file_use {
	FILE_UNUSED,
	FILE_WRITTEN, /* by some process */
	FILE_USE_UNKNOWN, /* another user's file, or a file system without leases */
};

/* DESCRIPTOR is open for reading alone. */
static inline enum file_use file_use_of(int descriptor)
{
	if (fcntl(descriptor, F_SETLEASE, F_RDLCK) == 0) {
		fcntl(descriptor, F_SETLEASE, F_UNLCK);
		return FILE_UNUSED;
	}
	return errno == EAGAIN ? FILE_WRITTEN : FILE_USE_UNKNOWN;
}

#endif
