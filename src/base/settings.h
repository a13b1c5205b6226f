/*
 * What can be set for a recording, as one string: PLUGPROF=cpu,freq=99,file=/tmp/%e.%p.pb.gz.
 * "plugprof record" writes it for the agent, people write it by hand; the table here is what both
 * read and what --help prints.  No allocation; not for handlers.
 */
#ifndef BASE_SETTINGS_H
#define BASE_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SETTINGS_VARIABLE "PLUGPROF"
#define SETTINGS_TEXT_MAX 4096
#define SETTINGS_FREQ_DEFAULT 99
#define SETTINGS_FREQ_MAX 10000
#define SETTINGS_FILE_DEFAULT "%e.%p.cpu.pb.gz"
#define SETTINGS_HEAP_DEFAULT (UINT64_C(512) << 10)

/* What becomes of the files of libraries loaded after the start: see agent/keeper.h. */
enum keep_mode { KEEP_AUTO, KEEP_NEVER, KEEP_ALWAYS };
#define SETTINGS_KEEP_LIMIT_DEFAULT (UINT64_C(64) << 20)

/* Which processes beside the first one are recorded: what fork() makes, what exec makes of one. */
enum follow_mode { FOLLOW_BOTH, FOLLOW_FORK, FOLLOW_EXEC, FOLLOW_NONE };
#define SETTINGS_PATTERNS_MAX 1024

struct settings {
	bool off; /* do nothing at all */
	bool raw; /* write addresses, no names */
	bool verbose; /* the tool says at exit what it wrote */
	bool mmap; /* with allocations, mappings are recorded */
	bool generations; /* samples have a label for the plugin's generation */
	uint32_t go_labels_off; /* 1: samples do not have the labels of Go's runtime/pprof */
	uint32_t keep; /* enum keep_mode */
	uint64_t keep_limit; /* bytes of a file that is still copied */
	uint32_t follow; /* enum follow_mode */
	uint32_t cpu_off; /* 1: do not sample CPU time */
	uint32_t freq_hz; /* samples per second of CPU time */
	uint64_t heap_bytes; /* allocated between two samples, on average; 1: all; 0: off */
	uint64_t duration_ns; /* 0: to the end */
	uint64_t session; /* of a "plugprof record"; 0: none */
	uint32_t recorder_pid;
	uint64_t recorder_namespace; /* inode of its pid namespace */
	uint64_t recorder_folder; /* settings_folder_identity() of where it looks for spools */
	char file[SETTINGS_TEXT_MAX]; /* template of the profile's name */
	char spool[SETTINGS_TEXT_MAX]; /* folder; "": settings_spool_folder() */
	char include[SETTINGS_PATTERNS_MAX]; /* fnmatch(3) patterns of program names, a:b */
	char exclude[SETTINGS_PATTERNS_MAX];
};

enum setting_kind {
	SETTING_FLAG, /* the word alone */
	SETTING_NUMBER,
	SETTING_DURATION, /* 10, 10s, 500ms, 2m, 1h */
	SETTING_SIZE, /* bytes: 4096, 512k, 64m, 1g; off is 0 */
	SETTING_CHOICE, /* one of the words in ARGUMENT, "a|b|c", by number from 0; where the first
			 * is "on" the name alone means that */
	SETTING_TEXT, /* a comma or backslash in it is written with a backslash before it */
};

struct setting {
	const char *name;
	enum setting_kind kind;
	size_t offset; /* in struct settings */
	uint64_t minimum, maximum;
	const char *argument; /* for help; NULL: a flag, or not for people */
	const char *help; /* NULL: not for people */
};

extern const struct setting settings_table[];
extern const size_t settings_count;

void settings_default(struct settings *s);

/* Read TEXT (NULL or "": the defaults).  True, or false with one line in WHY that names the
 * word and what would do, without a newline; *S may then hold anything. */
bool settings_parse(struct settings *s, const char *text, char *why, size_t why_size);

/* One value of the table's row NAME, as settings_parse() does. */
bool settings_set(struct settings *s, const char *name, const char *value, char *why,
	size_t why_size);

/* The string that settings_parse() reads back as *S.  False: does not fit. */
bool settings_format(const struct settings *s, char *text, size_t size);

/* The same for the same folder in whatever mount namespace; 0: there is no such folder. */
uint64_t settings_folder_identity(const char *folder);

/* Where spools are when nobody says otherwise: $XDG_RUNTIME_DIR/plugprof if that is on a
 * folder of our own, else /dev/shm/plugprof-UID. */
void settings_spool_folder(char folder[static SETTINGS_TEXT_MAX]);

#endif
