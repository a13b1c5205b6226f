#define _GNU_SOURCE
#include "agent/keeper.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/compiler.h"
#include "base/content_id.h"
#include "base/decimal.h"
#include "base/hash.h"
#include "base/store.h"
#include "base/syscalls.h"

#define FOLDERS_MAX 4
#define HEADERS_MAX 64 /* of a library's file; more than any linker makes */
#define FILES_KNOWN 256
/* A hard link costs nothing, but a file that is written to in place, as cp does, changes with
 * it. So what is no larger is rather copied. */
#define COPY_RATHER_MAX ((uint64_t)4 << 20)

static enum keep_mode mode = KEEP_NEVER;
static uint64_t copy_limit; /* bytes */
static char folders[FOLDERS_MAX][STORE_PATH_MAX];
static size_t folder_count;
static char folder_list[FOLDERS_MAX * STORE_PATH_MAX];

/* Whoever holds it owns the buffers below.  No one waits for it. */
static uint32_t busy;
static Elf64_Phdr headers[HEADERS_MAX];
static uint8_t page[CONTENT_PAGE_SIZE];

static bool begin(void)
{
	return __atomic_exchange_n(&busy, 1, __ATOMIC_ACQUIRE) == 0;
}

static void end(void)
{
	__atomic_store_n(&busy, 0, __ATOMIC_RELEASE);
}

void keeper_start(const struct settings *settings)
{
	char *to = folder_list;

	mode = (enum keep_mode)settings->keep;
	copy_limit = mode == KEEP_ALWAYS ? UINT64_MAX : settings->keep_limit;
	while (folder_count < FOLDERS_MAX && store_folder(folder_count, folders[folder_count])) {
		if (folder_count)
			*to++ = ':';
		to = stpcpy(to, folders[folder_count++]);
	}
}

const char *keeper_folders(void)
{
	return folder_list;
}

void keeper_restart_in_child(void)
{
	end();
}

/* --- files that need no second look --- */

struct file_identity {
	uint64_t device, inode, size, modified_ns;
};

static struct file_identity known[FILES_KNOWN];

static struct file_identity identity_of(const struct stat *st)
{
	return (struct file_identity){ st->st_dev, st->st_ino, (uint64_t)st->st_size,
		(uint64_t)st->st_mtim.tv_sec * 1000000000u + (uint64_t)st->st_mtim.tv_nsec };
}

static struct file_identity *known_slot(const struct stat *st)
{
	return &known[hash_mix(st->st_ino ^ st->st_dev << 32) % FILES_KNOWN];
}

/* Torn by another thread's store it equals nothing. */
static bool is_known(const struct stat *st)
{
	const struct file_identity wanted = identity_of(st);

	return memcmp(known_slot(st), &wanted, sizeof(wanted)) == 0;
}

/* --- reading a library's file --- */

struct library_file {
	int descriptor;
	struct stat st;
	struct build_id id;
	bool by_content;
};

static long read_at(int descriptor, void *to, size_t size, uint64_t offset)
{
	return raw_syscall4(SYS_pread64, descriptor, (long)to, (long)size, (long)offset);
}

static const void *read_segment(
	void *context, const Elf64_Phdr *segment, uint64_t at, size_t size)
{
	const int descriptor = *(const int *)context;

	return read_at(descriptor, page, size, segment->p_offset + at) == (long)size ? page : NULL;
}

static size_t read_headers(int descriptor)
{
	Elf64_Ehdr elf;
	size_t size;

	if (read_at(descriptor, &elf, sizeof(elf), 0) != sizeof(elf) ||
		memcmp(elf.e_ident, ELFMAG, SELFMAG) != 0 ||
		elf.e_ident[EI_CLASS] != ELFCLASS64 || elf.e_machine != EM_X86_64 ||
		elf.e_phentsize != sizeof(*headers) || elf.e_phnum > HEADERS_MAX)
		return 0;
	size = elf.e_phnum * sizeof(*headers);
	return read_at(descriptor, headers, size, elf.e_phoff) == (long)size ? elf.e_phnum : 0;
}

/* False: no library. */
static bool identify(struct library_file *file)
{
	const size_t count = read_headers(file->descriptor);
	struct build_notes notes = { .is_go = false };

	for (size_t i = 0; i < count && notes.gnu.size == 0; i++) {
		const size_t size_max = sizeof(page) - BUILD_NOTES_BEHIND;
		const size_t size =
			headers[i].p_filesz < size_max ? headers[i].p_filesz : size_max;
		long got;

		if (headers[i].p_type != PT_NOTE)
			continue;
		got = read_at(file->descriptor, page,
			size + BUILD_NOTES_BEHIND, headers[i].p_offset);
		if (got > 0)
			build_notes_add(&notes, page, size < (size_t)got ? size : (size_t)got,
				(size_t)got, headers[i].p_align);
	}
	build_id_of_notes(&notes, headers, count, &file->id);
	file->by_content = file->id.size == 0;
	if (file->by_content)
		content_id_to_key(
			content_id_of(headers, count, read_segment, &file->descriptor), &file->id);
	return file->id.size > 0;
}

static int open_library(const char *path, struct library_file *file)
{
	long r = raw_syscall4(
		SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);

	if (r < 0)
		return (int)r;
	file->descriptor = (int)r;
	r = raw_syscall3(SYS_fstat, file->descriptor, (long)&file->st, 0);
	if (r == 0 && S_ISREG(file->st.st_mode))
		return 0;
	raw_syscall1(SYS_close, file->descriptor);
	return r ? (int)r : -EINVAL;
}

static void close_library(struct library_file *file)
{
	*known_slot(&file->st) = identity_of(&file->st);
	raw_syscall1(SYS_close, file->descriptor);
}

/* --- the store --- */

static const char *suffix_for(bool by_content)
{
	return by_content ? STORE_CONTENT_SUFFIX : STORE_KEPT_SUFFIX;
}

static bool is_the_build(const char *path, const struct build_id *id, bool by_content)
{
	struct library_file file;
	bool is_it;

	if (open_library(path, &file) < 0)
		return false;
	is_it = identify(&file) && file.by_content == by_content && build_id_equal(&file.id, id);
	raw_syscall1(SYS_close, file.descriptor);
	return is_it;
}

/* A hard link to a file that was written to since is another build by now: it goes. */
static bool is_in_store(const struct build_id *id, bool by_content)
{
	char path[STORE_PATH_MAX];
	struct stat st;

	for (size_t i = 0; i < folder_count; i++) {
		if (!store_entry(folders[i], id, suffix_for(by_content), path, sizeof(path)) ||
			raw_syscall4(SYS_newfstatat, AT_FDCWD, (long)path, (long)&st, 0) < 0)
			continue;
		if (is_the_build(path, id, by_content))
			return true;
		raw_syscall1(SYS_unlink, (long)path);
	}
	return false;
}

/* The folder and, if need be, the one that it is in; no more, or a home that does not exist
 * would come to be. */
static void make_folder(const char *folder)
{
	char parent[STORE_PATH_MAX];
	char *slash;

	if (raw_syscall3(SYS_mkdir, (long)folder, 0700, 0) != -ENOENT)
		return;
	strcpy(parent, folder);
	slash = strrchr(parent, '/');
	if (!slash || slash == parent)
		return;
	*slash = '\0';
	raw_syscall3(SYS_mkdir, (long)parent, 0700, 0);
	raw_syscall3(SYS_mkdir, (long)folder, 0700, 0);
}

/* A folder of our own that nobody else can write to: what lies in it cannot be a trap. */
static int open_folder(const char *folder, struct stat *st)
{
	long descriptor;

	make_folder(folder);
	descriptor = raw_syscall4(
		SYS_openat, AT_FDCWD, (long)folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (descriptor < 0)
		return (int)descriptor;
	if (raw_syscall3(SYS_fstat, descriptor, (long)st, 0) == 0 &&
		st->st_uid == (uid_t)raw_syscall1(SYS_geteuid, 0) && !(st->st_mode & 022))
		return (int)descriptor;
	raw_syscall1(SYS_close, descriptor);
	return -EPERM;
}

/* A place for one file: the names in the folder DESCRIPTOR. */
struct place {
	int descriptor;
	dev_t device;
	char name[2 * BUILD_ID_SIZE_MAX + 32]; /* "ab/cdef....elf" */
	char temporary[48]; /* "ab/PID.N.tmp": "clean" takes what a killed process leaves */
};

static bool name_place(struct place *place, const struct library_file *file)
{
	static uint32_t number;
	char whole[sizeof(place->name) + 4], *to;

	/* The folder's name is left out: "./ab/cdef....elf". */
	if (!store_entry(".", &file->id, suffix_for(file->by_content), whole, sizeof(whole)))
		return false;
	strcpy(place->name, whole + 2);
	memcpy(place->temporary, place->name, 3);
	to = decimal_put(place->temporary + 3, (uint64_t)raw_syscall1(SYS_getpid, 0));
	*to++ = '.';
	to = decimal_put(to, number++);
	strcpy(to, ".tmp");
	return true;
}

/* 0 or -errno of the last folder that was tried. */
static int open_place(struct place *place, const struct library_file *file)
{
	int r = -ENOENT;

	if (!name_place(place, file))
		return -EINVAL;
	for (size_t i = 0; i < folder_count; i++) {
		char first[3] = { place->name[0], place->name[1], '\0' };
		struct stat st;

		r = open_folder(folders[i], &st);
		if (r < 0)
			continue;
		place->descriptor = r;
		place->device = st.st_dev;
		r = (int)raw_syscall3(SYS_mkdirat, place->descriptor, (long)first, 0700);
		if (r == 0 || r == -EEXIST)
			return 0;
		raw_syscall1(SYS_close, place->descriptor);
	}
	return r;
}

/* --- three ways to keep --- */

static int create_temporary(const struct place *place)
{
	return (int)raw_syscall4(SYS_openat, place->descriptor, (long)place->temporary,
		O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
}

/* Give the temporary file, written with result R, its name, or take it away. */
static int finish_temporary(const struct place *place, int descriptor, int r)
{
	raw_syscall1(SYS_close, descriptor);
	if (r == 0)
		r = (int)raw_syscall4(SYS_renameat, place->descriptor, (long)place->temporary,
			place->descriptor, (long)place->name);
	if (r)
		raw_syscall3(SYS_unlinkat, place->descriptor, (long)place->temporary, 0);
	return r;
}

static int reflink(const struct place *place, const struct library_file *file)
{
	int descriptor = create_temporary(place);

	if (descriptor < 0)
		return descriptor;
	return finish_temporary(place, descriptor,
		(int)raw_syscall3(SYS_ioctl, descriptor, FICLONE, file->descriptor));
}

/* The very file that is open, not whatever has its name by now. */
static int hard_link(const struct place *place, const struct library_file *file)
{
	char source[32] = "/proc/self/fd/";

	*decimal_put(source + strlen(source), (uint64_t)file->descriptor) = '\0';
	return (int)raw_syscall6(SYS_linkat, AT_FDCWD, (long)source, place->descriptor,
		(long)place->name, AT_SYMLINK_FOLLOW, 0);
}

static bool may_write(uint64_t size)
{
	struct rlimit limit;

	return raw_syscall4(SYS_prlimit64, 0, RLIMIT_FSIZE, 0, (long)&limit) < 0 ||
		size <= limit.rlim_cur;
}

/* Within the kernel; by sendfile where the two file systems do not copy into each other. */
static int copy_bytes(int from, int to, uint64_t left)
{
	bool use_sendfile = false;

	while (left) {
		long r = use_sendfile ?
			raw_syscall4(SYS_sendfile, to, from, 0, (long)left) :
			raw_syscall6(SYS_copy_file_range, from, 0, to, 0, (long)left, 0);

		if (r == -EINTR)
			continue;
		if (r > 0)
			left -= (uint64_t)r;
		else if (!use_sendfile)
			use_sendfile = true;
		else
			return r ? (int)r : -EIO; /* shorter than it was */
	}
	return 0;
}

static int copy(const struct place *place, const struct library_file *file)
{
	int descriptor = create_temporary(place);

	if (descriptor < 0)
		return descriptor;
	return finish_temporary(place, descriptor,
		copy_bytes(file->descriptor, descriptor, (uint64_t)file->st.st_size));
}

static struct keeper_result failed(int r)
{
	return (struct keeper_result){ SPOOL_KEPT_FAILED, -r };
}

static struct keeper_result keep_at(const struct place *place, const struct library_file *file)
{
	const uint64_t size = (uint64_t)file->st.st_size;
	const bool same_device = place->device == file->st.st_dev;
	const bool may = may_write(size);
	int r;

	if (same_device && may && reflink(place, file) == 0)
		return (struct keeper_result){ SPOOL_KEPT_REFLINK, 0 };
	if (same_device && (size > COPY_RATHER_MAX || size > copy_limit || !may)) {
		r = hard_link(place, file);
		if (r == 0 || r == -EEXIST)
			return (struct keeper_result){
				r ? SPOOL_KEPT_THERE : SPOOL_KEPT_HARD_LINK, 0 };
	}
	if (size > copy_limit)
		return (struct keeper_result){ SPOOL_KEPT_TOO_LARGE, 0 };
	if (!may)
		return failed(-EFBIG);
	r = copy(place, file);
	return r ? failed(r) : (struct keeper_result){ SPOOL_KEPT_COPY, 0 };
}

static struct keeper_result keep(const struct library_file *file)
{
	struct keeper_result result;
	struct place place;
	int r;

	if (is_in_store(&file->id, file->by_content))
		return (struct keeper_result){ SPOOL_KEPT_THERE, 0 };
	r = open_place(&place, file);
	if (r)
		return failed(r);
	result = keep_at(&place, file);
	raw_syscall1(SYS_close, place.descriptor);
	return result;
}

/* --- when --- */

void keeper_keep_path(const char *path)
{
	struct library_file file;
	struct stat st;

	if (mode == KEEP_NEVER ||
		raw_syscall4(SYS_newfstatat, AT_FDCWD, (long)path, (long)&st, 0) < 0 ||
		!S_ISREG(st.st_mode) || is_known(&st) || !begin())
		return;
	if (open_library(path, &file) == 0) {
		if (identify(&file))
			keep(&file);
		close_library(&file);
	}
	end();
}

static struct keeper_result keep_library(
	const char *path, const struct build_id *id, bool by_content)
{
	struct keeper_result result = { SPOOL_KEPT_REPLACED, 0 };
	struct library_file file;
	int r = open_library(path, &file);

	if (r == -ENOENT || r == -ENOTDIR)
		return (struct keeper_result){ SPOOL_KEPT_GONE, 0 };
	if (r)
		return failed(r);
	if (identify(&file) && file.by_content == by_content && build_id_equal(&file.id, id))
		result = keep(&file);
	close_library(&file);
	return result;
}

bool keeper_keep_module(const char *path, const struct build_id *id, bool by_content,
	struct keeper_result *result)
{
	if (mode == KEEP_NEVER)
		*result = (struct keeper_result){ SPOOL_KEPT_NEVER, 0 };
	else if (!begin())
		return false;
	else {
		if (is_in_store(id, by_content))
			*result = (struct keeper_result){ SPOOL_KEPT_THERE, 0 };
		else
			*result = keep_library(path, id, by_content);
		end();
	}
	return true;
}
