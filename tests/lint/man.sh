#!/bin/bash
# The man pages are well-formed and whole: every command has a page, every option is in its page
# and in the bash completion, every setting in libplugprof(7), every field, flag and counter of
# the spool in plugprof-spool(5).
#
#   PLUGPROF   the tool (default ./plugprof)
#   srcdir     where the sources are (default .)
set -u

top=$(cd "${srcdir:-.}" && pwd) || exit 99
tool=${PLUGPROF:-./plugprof}
unset PLUGPROF # to the tool it means settings
case $tool in
/*) ;;
*) tool=$PWD/$tool ;;
esac
if ! command -v mandoc >/dev/null || ! command -v col >/dev/null; then
	echo "skipped: mandoc or col is not installed"
	exit 77
fi
[ -x "$tool" ] || {
	echo "man: $tool is not there; set PLUGPROF"
	exit 99
}

work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
failures=0
fail() {
	echo "FAIL: $*"
	failures=$((failures + 1))
}

# Lines are not to be broken inside an option, so the page is as wide as it likes.
text_of() {
	mandoc -Tascii -O width=300 "$1" | col -bx
}

# has PAGE WORD: the word stands by itself in the page's text.
has() {
	grep -Eq -- "(^|[^[:alnum:]_-])$2([^[:alnum:]_-]|\$)" "$work/$1"
}

for page in "$top"/man/*.[1357]; do
	name=$(basename "$page")
	mandoc -Tlint -W warning "$page" >"$work/lint" || fail "mandoc: $(cat "$work/lint")"
	if command -v groff >/dev/null; then
		groff -mdoc -ww -z "$page" 2>"$work/lint"
		[ -s "$work/lint" ] && fail "groff: $(cat "$work/lint")"
	fi
	text_of "$page" >"$work/$name"
	for section in NAME DESCRIPTION 'SEE ALSO'; do
		grep -qx "$section" "$work/$name" || fail "$name has no section $section"
	done
	case $name in
	plugprof*.1) grep -qx 'EXIT STATUS' "$work/$name" || fail "$name has no exit status" ;;
	esac
	# Pages of ours that it points at are there.
	while read -r other; do
		[ -f "$top/man/$other" ] || fail "$name points at $other, which is not there"
	done < <(sed -n 's/^\.Xr \(\(lib\)\{0,1\}plugprof[^ ]*\) \([0-9]\).*/\1.\3/p' "$page")
done

# --- commands and options ---

# shellcheck source=/dev/null
source "$top/completion/plugprof.bash"
complete_after() { # WORD...: what the last one could become, in COMPREPLY
	COMP_WORDS=("$tool" "$@")
	COMP_CWORD=$#
	COMPREPLY=()
	_plugprof 2>/dev/null
}
offers() {
	local reply
	for reply in "${COMPREPLY[@]}"; do
		[ "${reply%=}" = "$1" ] && return
	done
	return 1
}

options_of() {
	"$tool" "$1" --help | grep -Eo '^ +(-[a-zA-Z], )? *--[a-z-]+' | grep -Eo -- '-[-a-zA-Z]+'
}

commands=$("$tool" --help | sed -n 's/^  \([a-z][a-z]*\) \{2,\}.*/\1/p')
[ -n "$commands" ] || fail "plugprof --help shows no commands"
complete_after ''
for command in $commands; do
	offers "$command" || fail "the completion does not know $command"
	has plugprof.1 "$command" || fail "plugprof.1 does not tell of $command"
done
for command in $commands finish; do
	page=plugprof-$command.1
	if [ ! -f "$work/$page" ]; then
		fail "$command has no page man/$page"
		continue
	fi
	options=$(options_of "$command")
	[ -n "$options" ] || fail "$command --help shows no options"
	complete_after "$command" -
	for option in $options; do
		has "$page" "$option" || fail "$page does not tell of $option"
		case $option in
		--*) offers "$option" || fail "the completion does not know $command $option" ;;
		esac
	done
done

# --- settings ---

# Rows of the table, but for those without help, which are not for people.
settings=$(grep -v 'NULL, NULL },' "$top/src/base/settings.c" |
	sed -n 's/^	{ "\([a-z-]*\)", SETTING_.*/\1/p')
[ -n "$settings" ] || fail "found no settings in src/base/settings.c"
for setting in $settings; do
	grep -Eq "^ {5}$setting(=| |\$)" "$work/libplugprof.7" ||
		fail "libplugprof.7 does not tell of $setting"
done

# --- the spool ---

# Names of the fields and constants that spool_format.h declares, comments and functions left out.
names=$(
	sed -e 's|/\*.*\*/||' -e '/\/\*/,/\*\//d' "$top/src/spool/spool_format.h" |
		sed -n -e 's/^#define \(SPOOL_[A-Z_]*\) .*/\1/p' \
			-e 's/^	\(SPOOL_[A-Z_]*\).*/\1/p' \
			-e 's/^enum .*{ \(SPOOL.*\) };/\1/p' \
			-e 's/^	\(uint[0-9]*_t\|char\|struct [a-z_]*\) \([a-z_, ]*\)[;[].*/\2/p' |
		grep -Eo '[A-Za-z_]+' | sort -u | grep -vx SPOOL_SUFFIX
)
[ "$(echo "$names" | wc -l)" -gt 60 ] || fail "found too few names in spool_format.h"
for name in $names; do
	has plugprof-spool.5 "$name" || fail "plugprof-spool.5 does not tell of $name"
done

[ $failures -eq 0 ] || echo "$failures failures"
[ $failures -eq 0 ]
