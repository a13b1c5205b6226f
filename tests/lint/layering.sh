#!/bin/sh
# Who may include what: the table of src/README.md, held over every file of src/.
#
#   srcdir   where the sources are (default .)
#
# Exit status 1 when a line breaks the table; each is named as FILE:LINE.
set -u
cd "${srcdir:-.}" || exit 99
[ -d src/agent ] || {
	echo "layering: no src/agent in $PWD; set srcdir" >&2
	exit 99
}
LC_ALL=C
export LC_ALL

# shellcheck disable=SC2016 # the dollars are awk's
find src -name '*.[chS]' | sort | xargs awk '
function words(text, into,    parts, n, i) {
	n = split(text, parts, " ")
	for (i = 1; i <= n; i++)
		into[parts[i]] = 1
}

BEGIN {
	# Folders of the project that a folder may include, itself aside.
	words("base:", project)
	words("spool:base", project)
	words("agent:base agent:spool", project)
	words("mapstore:base", project)
	words("symbol:base symbol:mapstore", project)
	words("pprof:base pprof:proto", project)
	words("cli:base cli:spool cli:symbol cli:mapstore cli:pprof", project)

	# Libraries beyond libc, by header.
	words("symbol:libelf.h symbol:gelf.h symbol:dwarf.h", library)
	words("symbol:zlib.h symbol:zstd.h symbol:lzma.h", library)
	words("symbol:libiberty/demangle.h", library)
	words("symbol:elfutils/debuginfod.h", library)
	words("mapstore:zlib.h mapstore:zstd.h pprof:zlib.h", library)
	words("pprof:protobuf-c/protobuf-c.h", library)

	words("assert.h cet.h complex.h ctype.h dirent.h dlfcn.h elf.h errno.h fcntl.h", libc)
	words("float.h fnmatch.h ftw.h getopt.h glob.h iconv.h inttypes.h iso646.h", libc)
	words("langinfo.h libgen.h limits.h link.h locale.h malloc.h math.h netdb.h", libc)
	words("poll.h pthread.h pwd.h regex.h sched.h semaphore.h setjmp.h signal.h", libc)
	words("spawn.h stdalign.h stdarg.h stdatomic.h stdbool.h stddef.h stdint.h", libc)
	words("stdio.h stdlib.h stdnoreturn.h string.h strings.h syslog.h termios.h", libc)
	words("threads.h time.h ucontext.h uchar.h unistd.h wchar.h wctype.h", libc)
	words("cpuid.h immintrin.h x86intrin.h", libc) # the compiler has these

	# What may not run in the host, and what only the tool links.
	words("stdio.h malloc.h syslog.h spawn.h", not_in_host)
	words("base/file.h base/table.h base/vec.h base/xalloc.h spool/spool_reader.h", tool_only)
}

function complain(what) {
	printf "%s:%d: %s\n", FILENAME, FNR, what
	bad++
}

function check_project(name,    parts, other) {
	if (name == "config.h")
		return
	split(name, parts, "/")
	other = parts[1]
	if (other != folder && !((folder ":" other) in project))
		complain("src/" folder " may not include \"" name "\"")
	else if (host && (name in tool_only))
		complain("\"" name "\" is for the tool, and this runs in the host")
	if (folder == "cli" && (other == "spool" || other == "pprof" || other == "symbol"))
		sees[FILENAME, other] = FNR
}

function check_system(name) {
	if (!(name in libc) && name !~ /^(sys|linux|asm)\// && !((folder ":" name) in library))
		complain("src/" folder " may not include <" name ">")
	else if (host && (name in not_in_host))
		complain("<" name "> has no place in code that runs in the host")
}

FNR == 1 {
	files++
	split(FILENAME, at, "/")
	folder = at[2]
	host = folder == "agent" ||
		(folder == "base" && FILENAME !~ /\/(file|table|vec|xalloc)\.[ch]$/) ||
		(folder == "spool" && FILENAME !~ /\/spool_reader\.[ch]$/)
	known = folder ~ /^(base|spool|agent|mapstore|symbol|pprof|cli)$/
	if (!known)
		complain("src/" folder " has no row in the table of tests/lint/layering.sh")
	names[files] = FILENAME
	folders[files] = folder
}

known && /^[ \t]*#[ \t]*include[ \t]*"/ {
	split($0, quoted, "\"")
	check_project(quoted[2])
	next
}
known && /^[ \t]*#[ \t]*include[ \t]*</ {
	name = $0
	sub(/^[^<]*</, "", name)
	sub(/>.*/, "", name)
	check_system(name)
	next
}
known && /^[ \t]*#[ \t]*include/ {
	complain("an include that this check cannot read")
}

# In the host nothing may end the process or wait for memory.
host && /(^|[^a-zA-Z0-9_.>])(abort|assert|printf|fprintf|perror)[ \t]*\(/ && !/^[ \t]*(\/?\*)/ {
	complain("abort, assert and stdio have no place in code that runs in the host")
}

END {
	# One file of the tool may know the spool, the profile model and the symbolizer.
	for (i = 1; i <= files; i++) {
		if (folders[i] != "cli" || names[i] ~ /\/pipeline\.[ch]$/)
			continue
		if ((names[i], "spool") in sees && (names[i], "pprof") in sees &&
				(names[i], "symbol") in sees) {
			printf "%s:%d: only cli/pipeline.c may include spool, pprof and symbol\n",
				names[i], sees[names[i], "symbol"]
			bad++
		}
	}
	if (!files) {
		print "layering: found no sources"
		exit 99
	}
	printf "layering: %d files, %d complaints\n", files, bad
	exit bad > 0
}'
status=$?
[ "$status" -ne 123 ] || status=1 # xargs says so for any failure of awk
exit "$status"
