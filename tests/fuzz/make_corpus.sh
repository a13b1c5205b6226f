#!/bin/sh
# Make tests/fuzz/corpus/elf and doctor again: tiny libraries, each with another kind of symbols,
# or another thing for the loader or for Go in it.
# Needs gcc, g++, clang and binutils.  What it makes is checked in; run it after an edit here.
set -eu
out=$(dirname "$0")/corpus/elf
doctor=$(dirname "$0")/corpus/doctor
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out" "$doctor"

cat >"$work/a.c" <<'C'
volatile int sink;
static inline __attribute__((always_inline)) void inner(int x) { sink = x; }
static inline __attribute__((always_inline)) void outer(int x) { inner(x + 1); sink = x; }
__attribute__((noinline)) static int hidden(int x) { outer(x); return sink; }
extern int other(int x);
int run(int x) { { int y = x * 2; outer(y); } return hidden(x) + other(x); }
C
cat >"$work/a.cc" <<'C'
volatile int sink;
namespace n { namespace { struct S { int v; __attribute__((noinline)) int f(int x) { sink = x; return v; } }; }
template <class T> struct B { __attribute__((noinline)) T g(T t) { sink = 1; return t; } };
int run(int x) { S s{x}; B<long> b; auto l = [&](int y) __attribute__((noinline)) { return y + sink; };
return s.f(x) + (int)b.g(x) + l(x); } }
C

# No libc and small pages keep each file to a few KB.
tiny="-O2 -shared -fPIC -nostdlib -Wl,-z,noseparate-code -Wl,-z,max-page-size=512 -Wl,-z,norelro"
make_one() {
	name=$1
	shift
	# shellcheck disable=SC2086 # words
	(cd "$work" && "$@" $tiny -o "$name.so")
	cp "$work/$name.so" "$out/$name.so"
}
make_one c_dwarf5 gcc -g -gdwarf-5 a.c
make_one c_dwarf4 gcc -g -gdwarf-4 a.c
make_one c_dwarf64 gcc -g -gdwarf64 a.c
make_one c_compressed gcc -g -gz a.c
make_one c_sections gcc -g -ffunction-sections -freorder-blocks-and-partition a.c
make_one c_split gcc -g -gsplit-dwarf a.c
make_one c_types gcc -g -fdebug-types-section a.c
make_one c_ibt gcc -fcf-protection=full -Wl,-z,ibtplt -Wl,-z,lazy a.c
make_one cc_dwarf5 g++ -g -gdwarf-5 a.cc
make_one cc_dwarf4 g++ -g -gdwarf-4 a.cc
make_one clang_dwarf5 clang -g -gdwarf-5 a.c
make_one clang_dwarf4 clang++ -g -gdwarf-4 a.cc
strip -s "$work/c_dwarf5.so" -o "$out/stripped.so"
strip -g "$work/c_dwarf5.so" -o "$out/symbols.so"
objcopy --only-keep-debug "$work/c_dwarf5.so" "$out/only_debug.so"
(cd "$work" && objcopy --only-keep-debug c_dwarf5.so x.debug &&
	objcopy --add-gnu-debuglink=x.debug c_dwarf5.so linked.so)
cp "$work/linked.so" "$out/linked.so"
objcopy --compress-debug-sections=zstd "$work/c_dwarf5.so" "$out/c_zstd.so"
(cd "$work" && strip -g c_dwarf5.so -o mini && xz -f mini &&
	objcopy -S --add-section .gnu_debugdata=mini.xz c_dwarf5.so mini.so)
cp "$work/mini.so" "$out/mini.so"

cat >"$work/b.c" <<'C'
int lib_run(int), weak_run(int) __attribute__((weak));
static __thread int local = 1;
int run(int x) { return lib_run(x) + (weak_run ? weak_run(x) : 0) + local; }
C
printf 'int lib_run(int x) { return x; }\n' >"$work/lib.c"
printf 'V_1 { lib_run; }; V_2 { } V_1;\n' >"$work/lib.map"
cat >"$work/go.s" <<'S'
.section .go.buildinfo,"aw"
.balign 16
.ascii "\377 Go buildinf:", "\010\002"
.zero 16
.uleb128 6
.ascii "go1.26"
.uleb128 1f - 0f
0: .zero 16
.ascii "path\texample.org/app\nmod\texample.org/app\t(devel)\t\ndep\texample.org/dep\tv1.0.0\th1:x=\n"
.ascii "=>\t../dep\t(devel)\t\nbuild\t-buildmode=plugin\nbuild\tvcs.revision=0123\n"
.zero 16
1:
.section .rodata
.globl "go:link.pkghashbytes.fmt"
.type "go:link.pkghashbytes.fmt",@object
.size "go:link.pkghashbytes.fmt",8
"go:link.pkghashbytes.fmt": .quad 1
.section .note.GNU-stack,"",@progbits
S
out=$doctor
make_one versions gcc lib.c -Wl,--version-script=lib.map -Wl,-soname,libversions.so
# shellcheck disable=SC2016
make_one needs gcc b.c versions.so -Wl,-rpath,'$ORIGIN:lib:' -ftls-model=initial-exec
make_one rpath gcc b.c versions.so -Wl,--disable-new-dtags,-rpath,/nonexistent -z execstack
make_one go gcc go.s
head -c 600 "$work/needs.so" >"$doctor/torn.so"
# One entry: flags of x86-64, where its name and its path are, and three numbers.
printf 'glibc-ld.so.cache1.1\001\0\0\0\025\0\0\0%s\003\003\0\0\110\0\0\0\122\0\0\0%s' \
	"$(printf '%020d' 0)" "$(printf '%012d' 0)" >"$doctor/cache"
printf 'libc.so.6\0/libc.so.6\0' >>"$doctor/cache"
printf 'path\ta\nmod\ta\t(devel)\t\ndep\tb\tv1.0.0\th1:x=\n=>\t../b\t\nbuild\t-race=true\n' >"$doctor/go_lines"
# Their symbol maps, when the tool is built.
if [ -x "${PLUGPROF:=plugprof}" ]; then
	maps=$(dirname "$0")/corpus/map
	mkdir -p "$maps"
	for name in c_dwarf5 cc_dwarf4 symbols stripped; do
		"$PLUGPROF" map -q -o "$work/store" "$(dirname "$0")/corpus/elf/$name.so"
		mv "$work"/store/*/*.psym "$maps/$name.psym"
	done
fi
