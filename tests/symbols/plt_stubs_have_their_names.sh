#!/bin/bash
# A stub is called after what it calls, in every form that GNU ld, lld and mold write: lazy or not, with
# or without IBT, in .plt, .plt.sec and .plt.got, of a library and of a program.
. "${srcdir:-.}/tests/e2e/lib.sh"
for command in python3 readelf objdump; do
	command -v $command >/dev/null || skip "no $command"
done
cat >"$work/calls.c" <<'C'
#include <stdlib.h>
#include <string.h>
#include <stdio.h>

/* Called, and its address taken: its stub is in .plt.got. */
void *(*volatile taken)(size_t) = malloc;
char *calls(const char *text)
{
	char *copy = malloc(strlen(text) + 1);

	taken = malloc;
	printf("%s", getenv("HOME"));
	return copy ? strcpy(copy, text) : NULL;
}
#ifdef PROGRAM
int main(void) { return calls("x") == NULL; }
#endif
C

# check LINKER FLAGS...
check() {
	local output=$work/linked
	"$cc" -O1 -fno-builtin "-fuse-ld=$1" "${@:2}" "$work/calls.c" -o "$output" 2>"$work/err" ||
		{ echo "$*: cannot be linked so"; return; }
	strip "$output"
	checked=$((checked + 1))
	python3 -B "$source_folder/tests/symbols/compare_plt.py" "$tool" "$output" >"$work/out" 2>&1 ||
		fail "$*: $(cat "$work/out")"
	echo "$*: $(tail -n 1 "$work/out")"
}

checked=0
library=(-shared -fPIC)
for linker in bfd gold lld mold; do
	command -v "ld.$linker" >/dev/null || { echo "no ld.$linker"; continue; }
	for binding in lazy now; do
		check $linker "${library[@]}" -Wl,-z,$binding
		check $linker "${library[@]}" -Wl,-z,$binding -fcf-protection=full
		check $linker -DPROGRAM -fPIE -pie -Wl,-z,$binding
		check $linker -DPROGRAM -no-pie -Wl,-z,$binding
	done
done
for linker in bfd lld; do
	command -v "ld.$linker" >/dev/null || continue
	for binding in lazy now; do
		check $linker "${library[@]}" -Wl,-z,$binding -fcf-protection=full \
			"-Wl,-z,$([ $linker = bfd ] && echo ibtplt || echo force-ibt)"
	done
done
[ $checked -ge 8 ] || fail "only $checked forms were seen"
finish
