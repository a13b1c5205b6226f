#!/bin/bash
# jemalloc and tcmalloc preloaded before and behind us, in every order: programs run as without us;
# behind us they are counted to the byte, before us one line says that nothing can be. Allocators
# inside the program, plugins that do not see our hooks, other namespaces: the same.
. "${srcdir:-.}/tests/e2e/lib.sh"
. "${srcdir:-.}/tests/e2e/allocators.sh"
need_helper allocate
cd "$work" || exit 99

# A library that forwards to the next, and asks dlsym for it in the middle of anything.
cat >naive.c <<'END'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#define NEXT(name) static typeof(name) *next; if (!next) next = (typeof(name) *)dlsym(RTLD_NEXT, #name)
void *malloc(size_t size) { NEXT(malloc); return next(size); }
void free(void *block) { NEXT(free); next(block); }
void *realloc(void *block, size_t size) { NEXT(realloc); return next(block, size); }
END
$cc -w -o naive.so naive.c -shared -fPIC -fno-builtin 2>err || echo "not tried: naive.so: $(cat err)"
naive=$(one_of "$work/naive.so")
heaptrack=$(one_of /usr/lib/heaptrack/libheaptrack_preload.so)
export DUMP_HEAPTRACK_OUTPUT=/dev/null

for order in us us:j us:t us:n us:h j:us t:us n:us h:us us:j:t us:t:j j:us:t t:us:j j:t:us t:j:us us:n:j; do
	before='' behind='' seen=''
	for one in ${order//:/ }; do
		case $one in
		us) seen=yes ; continue ;;
		j) library=$jemalloc ;;
		t) library=$tcmalloc ;;
		n) library=$naive ;;
		h) library=$heaptrack ;;
		esac
		[ -n "$library" ] || continue 2
		[ -z "$seen" ] && before+=" $library" || behind+=" $library"
	done
	runs_the_same "$before" "$behind" "$helpers/allocate" portable
	if [ -n "$before" ]; then
		said "not seen: no allocation: malloc is that of (lib(jemalloc|tcmalloc|heaptrack)|naive)" $order
	else
		grep "not seen" said && fail "$order: $(cat said)"
		# heaptrack allocates itself, for the program's functions.
		[ $order = us:h ] || as_told run agent.out $order
	fi
	runs_the_same "$before" "$behind" "$helpers/allocate" errors
done

# --- what an allocator maps is counted once, as the blocks that it is cut into ---

more=mmap
for behind in "" "$jemalloc" "$tcmalloc"; do
	runs_the_same "" "$behind" "$helpers/allocate" maps
	as_told run agent.out "maps $behind"
	[ -z "$go" ] || pprof run -traces -sample_index=alloc_space -tagfocus=kind=mmap
	has ' map_break$'
	has_not 'jemalloc|tcmalloc|SysAllocator'
done
more=

# --- what escapes us is said; nothing breaks ---

compile() {
	$cc -g -w -o "$@" 2>err || { echo "not tried: $1: $(cat err)"; false; }
}
cat >own.c <<'END'
#include <stdio.h>
#include <stddef.h>
#include <string.h>
static char arena[1 << 20];
static size_t used;
void *malloc(size_t n) { void *p = arena + used; used += n + 15 & ~15ul; return used > sizeof(arena) ? NULL : p; }
void free(void *p) { }
void *calloc(size_t n, size_t m) { return malloc(n * m); }
void *realloc(void *p, size_t n) { void *q = malloc(n); if (p && q) memmove(q, p, n); return q; }
int main(void) { free(malloc(100)); puts(strdup("own")); return 0; }
END
if compile own own.c -fno-builtin; then
	runs_the_same "" "" ./own
	said "not seen: no allocation: malloc is that of the program" own
fi
# Linked with an allocator; and with a plugin that is found by the program's RUNPATH alone.
cat >linked.c <<'END'
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
int main(void) {
	void *h = dlopen("found.so", RTLD_NOW);
	void *(*take)(size_t) = h ? (void *(*)(size_t))dlsym(h, "take") : NULL;
	if (!take) return 1;
	for (int i = 1; i < 1000; i++) free(take(i));
	puts("linked");
	return dlclose(h);
}
END
mkdir -p plugins
cat >found.c <<'END'
#include <stdlib.h>
void *take(size_t n) { return malloc(n); }
END
for allocator in "" "$jemalloc" "$tcmalloc"; do
	# shellcheck disable=SC2016,SC2086 # the dollar is the loader's; none or one word
	if compile plugins/found.so found.c -shared -fPIC -fno-builtin &&
		compile linked linked.c -fno-builtin -Wl,-rpath,'$ORIGIN/plugins' \
			-Wl,--no-as-needed $allocator -ldl; then
		runs_the_same "" "" ./linked
		[ "$(cat agent.out)" = linked ] || fail "linked with $allocator: its plugin is not found"
		grep "not seen" said && fail "linked with $allocator: $(cat said)"
	fi
done
# A program at fixed addresses, whose functions' addresses are its own PLT's.
cat >fixed.c <<'END'
#include <stdio.h>
#include <stdlib.h>
int main(void) { void *(*volatile m)(size_t) = malloc; void (*volatile f)(void *) = free;
	for (int i = 0; i < 1000; i++) f(m(100)); puts("fixed"); return m == malloc && f == free ? 0 : 1; }
END
compile fixed fixed.c -no-pie -fno-pie -fno-builtin && runs_the_same "" "" ./fixed
# Blocks that cross the border to a library which calls libc past us, both ways.
cat >border.c <<'END'
#include <stdlib.h>
#include <string.h>
void *take(size_t n) { return memset(malloc(n), 1, n); }
void give(void *p) { free(p); }
END
cat >crosser.c <<'END'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(int argc, char **argv) {
	void *h = argv[1][0] == 'm' ? dlmopen(LM_ID_NEWLM, "./border.so", RTLD_NOW) :
		dlopen("./border.so", RTLD_NOW | RTLD_LOCAL | (argv[1][0] == 'd' ? RTLD_DEEPBIND : 0));
	void *(*take)(size_t) = dlsym(h, "take");
	void (*give)(void *) = dlsym(h, "give");
	if (argv[1][0] == 'm') { for (int i = 0; i < 2000; i++) give(take(i)); }
	else for (int i = 0; i < 2000; i++) { free(take(i)); give(malloc(i)); give(realloc(take(i), 2 * i + 1)); }
	puts(argv[1]);
	return dlclose(h);
}
END
if compile border.so border.c -shared -fPIC -fno-builtin && compile crosser crosser.c -fno-builtin -ldl; then
	runs_the_same "" "" ./crosser local
	runs_the_same "" "" ./crosser deepbind
	runs_the_same "" "" ./crosser mopen
fi

# --- other people's programs; nobody writes their profiles ---
more=recorder=$$

echo 'create table t(a); insert into t values(1),(2),(3); select sum(a), group_concat(a) from t;' >sql
echo '{"a":[1,2,{"b":"c"}]}' >json
for behind in "" "$jemalloc" "$tcmalloc"; do
	command -v sqlite3 >/dev/null && runs_the_same "" "$behind" sqlite3 :memory: '.read sql'
	command -v jq >/dev/null && runs_the_same "" "$behind" jq -c '.a[2].b, (.a|length)' json
	# shellcheck disable=SC2016 # the dollars are perl's
	command -v perl >/dev/null && runs_the_same "" "$behind" \
		perl -e 'my %h; $h{$_ % 97} .= "x$_" for 1..5000; print length(join "", values %h), "\n"'
	command -v python3 >/dev/null && PYTHONMALLOC=malloc runs_the_same "" "$behind" \
		python3 -c 'import json; print(len(json.dumps([{"k%d" % i: [i] * 5} for i in range(500)])))'
done
finish
