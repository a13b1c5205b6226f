#!/bin/sh
# The parts of the house style that a machine can see.
#
#   srcdir   where the sources are (default .)
#
# Fails on: a line over 100 columns (120 in scripts; a tab is 8), indented by 8 spaces or more, or with blanks
# at its end; a // comment in C; what shellcheck says about a script.
# Lists, without failing: functions of more than 100 lines, files of more than 600.
set -u
cd "${srcdir:-.}" || exit 99
[ -d src ] || {
	echo "style: no src in $PWD; set srcdir" >&2
	exit 99
}
LC_ALL=C
export LC_ALL
status=0

c_files() {
	find src tests samples -type f \
		\( -name '*.c' -o -name '*.h' -o -name '*.cc' -o -name '*.S' \) | sort
}

scripts() {
	{
		find src tests samples completion .ci -type f \( -name '*.sh' -o -name '*.bash' \
			-o -path .ci/run \) 2>/dev/null
		find . -maxdepth 1 -name quickstart
	} | sed 's|^\./||' | sort
}

# shellcheck disable=SC2016 # the dollars are awk's
check_lines='
function complain(what) {
	printf "%s:%d: %s\n", FILENAME, FNR, what
	bad++
}

# Without strings, characters and comments of one line; /*...*/ over many lines is known by
# in_comment.
function code_of(line) {
	gsub(/\\./, "", line)
	gsub(/"[^"]*"/, "", line)
	gsub(/\047[^\047]*\047/, "", line)
	if (in_comment) {
		if (line !~ /\*\//)
			return ""
		sub(/^.*\*\//, "", line)
		in_comment = 0
	}
	while (match(line, /\/\*/)) {
		rest = substr(line, RSTART + 2)
		line = substr(line, 1, RSTART - 1)
		if (!match(rest, /\*\//)) {
			in_comment = 1
			return line
		}
		line = line substr(rest, RSTART + 2)
	}
	return line
}

function columns(line,    count, parts, n, i) {
	gsub(/[\200-\277]/, "", line) # all but the first byte of a character
	n = split(line, parts, "\t")
	for (i = 1; i < n; i++)
		count += 8 * int(length(parts[i]) / 8) + 8
	return count + length(parts[n])
}

function end_of_file() {
	if (lines > 600 && is_c)
		printf "note: %s has %d lines\n", file, lines
}

FNR == 1 {
	end_of_file()
	file = FILENAME
	is_c = file ~ /\.(c|h|cc)$/
	is_cc = file ~ /\.cc$/
	in_comment = body = 0
}

{ lines = FNR }
/[ \t\r]$/ { complain("blanks at the end of the line") }
/^\t*        +[^ \\]/ { complain("indented by spaces") }
columns($0) > (is_c ? 100 : 120) { complain("over " (is_c ? 100 : 120) " columns") }

is_c && !is_cc && code_of($0) ~ /\/\// { complain("a // comment") }
is_c && /^[a-zA-Z_].*\(/ { name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name) }
is_c && /^\{/ { body = FNR }
is_c && /^\}/ {
	if (body && FNR - body > 101)
		printf "note: %s:%d: %s() has %d lines\n", FILENAME, body, name, FNR - body - 1
	body = 0
}

END {
	end_of_file()
	printf "style: %d complaints\n", bad
	exit bad > 0
}'

[ -n "$(c_files)" ] || {
	echo "style: found no sources" >&2
	exit 99
}
{
	c_files
	scripts
} | xargs awk "$check_lines" || status=1

if command -v shellcheck >/dev/null; then
	scripts | xargs shellcheck || status=1
else
	echo "style: shellcheck is not installed: scripts not checked"
fi
exit $status
