#!/bin/bash
# plugprof doctor tells of a library, and of all libraries of a process, what keeps them from being named
# or loaded, and what to do: status 3 and a line for each.  What it says holds: where it says that a library
# would not load, ld.so does not load it, and done as told it is good.
. "${srcdir:-.}/tests/e2e/lib.sh"
for command in "$cc" objcopy strip readelf; do
	command -v "$command" >/dev/null || skip "no $command"
done
cd "$work" || exit 99
unset LD_LIBRARY_PATH
export PLUGPROF_SYMBOLS=$work/no_store

# doctor STATUS ARGUMENT...: it says so in $work/out, and nothing on stderr.
doctor() {
	expected=$1
	shift
	wait_no_longer_than 60 "$tool" doctor "$@" >"$work/out" 2>"$work/err" </dev/null
	status=$?
	[ $status -eq "$expected" ] || {
		fail "doctor $*: status $status, not $expected"
		cat "$work/out" "$work/err"
	}
	[ -s "$work/err" ] && fail "doctor $* says on stderr: $(cat "$work/err")"
}

# build NAME OPTION...: NAME.so of lib.c
build() {
	name=$1
	shift
	$cc -g -shared -fPIC -Wl,--build-id "$@" -o "$name.so" || fail "$name.so cannot be built"
}

cat >lib.c <<'C'
#include <stdio.h>
int lib_run(int x) { return printf("%d\n", x); }
C
cat >open.c <<'C'
#include <dlfcn.h>
#include <stdio.h>
int main(int argc, char **argv)
{
	void *library = dlopen(argv[argc - 1], RTLD_NOW | RTLD_LOCAL);
	puts(library ? "opened" : dlerror());
	fflush(stdout);
	if (argc > 2)
		getchar();
	return !library;
}
C
$cc -g open.c -o open -ldl || skip "the compiler makes no program"

# --- names ---

build good lib.c
doctor 0 good.so
has '^ok +build-id +[0-9a-f]{16,}$'
has '^ok +symbols +[0-9]+ functions in \.symtab$'
has '^ok +debug-info +DWARF [2-9], 1 unit, in the file$'
has '^ok +needed +1 library, all found$'
crc=$(sed -n 's/^ok  *text .* //p' out)

strip -o stripped.so good.so
doctor 3 stripped.so
has '^finding +symbols +stripped: only the 1 exported function has a name; '
has 'plugprof map stripped\.so, or objcopy --only-keep-debug stripped\.so'
[ "$(sed -n 's/^ok  *text .* //p' out)" = "$crc" ] || fail "strip changes the CRC of the code"

# As told.
cp good.so told.so
objcopy --only-keep-debug told.so told.so.debug
strip told.so
objcopy --add-gnu-debuglink=told.so.debug told.so
doctor 0 told.so
has '^ok +debuglink +\./told\.so\.debug$'
mv told.so.debug elsewhere
doctor 3 told.so
has '^finding +symbols .*told\.so\.debug is not found'

# By build-ID, in a folder that is named; then what is kept in a store.
build_id=$(readelf -n stripped.so | sed -n 's/.*Build ID: //p')
mkdir -p "folder/.build-id/${build_id:0:2}" "store/${build_id:0:2}"
objcopy --only-keep-debug good.so "folder/.build-id/${build_id:0:2}/${build_id:2}.debug"
doctor 0 --symbols=folder stripped.so
has '^ok +symbols .*folder/\.build-id/'
cp stripped.so "store/${build_id:0:2}/${build_id:2}.elf"
doctor 3 --symbols="$work/store" stripped.so
has "^ok +store +the file is kept as $work/store/"
"$tool" map -q -o "$work/mapped" good.so || fail "map: status $?"
doctor 0 --symbols="$work/mapped" stripped.so
has '^ok +symbols +stripped, and named by its symbol map$'

build no_id -Wl,--build-id=none lib.c
doctor 3 no_id.so
has '^finding +build-id +none.*-Wl,--build-id$'
build no_unwind -nostdlib -fno-asynchronous-unwind-tables lib.c
doctor 3 no_unwind.so
has '^finding +unwind .*-fasynchronous-unwind-tables'
build split -gsplit-dwarf lib.c
rm -f ./*.dwo
doctor 3 split.so
has '^finding +split-dwarf +1 of 1 unit.*-gsplit-dwarf$'

# --- loading ---

cat >needs.c <<'C'
int lib_run(int x), host_call(void);
int needs_run(void) { return lib_run(host_call()); }
C
cat >host.c <<'C'
int host_call(void) { return 1; }
int main(void) { return 0; }
C
build libgood -Wl,-soname,libgood.so.1 lib.c
mv libgood.so libgood.so.1
build needs needs.c -L. -l:libgood.so.1
doctor 3 needs.so
has '^finding +needed +libgood\.so\.1 is not found, unless the host has loaded it before: install it'
./open ./needs.so | grep -q 'libgood.so.1: cannot open' || fail "ld.so finds what the doctor misses"
LD_LIBRARY_PATH=$work doctor 0 needs.so
# shellcheck disable=SC2016
build needs_origin needs.c -L. -l:libgood.so.1 -Wl,-rpath,'$ORIGIN'
doctor 0 needs_origin.so
has '^note +undefined +1 symbol must come from the host \(host_call\)'
$cc -g host.c -o host_hides
$cc -g -rdynamic host.c -o host_exports
doctor 3 --host=host_hides needs_origin.so
has '^finding +undefined +1 symbol in neither host_hides nor any library \(host_call\): .*-rdynamic$'
doctor 0 --host=host_exports needs_origin.so
has '^ok +undefined '
# shellcheck disable=SC2016
build relative lib.c -Wl,-rpath,lib: -Wl,--enable-new-dtags
doctor 3 relative.so
has "^finding +search-path +RUNPATH \"lib\" .*'\\\$ORIGIN/lib'\$"
has '^finding +search-path +RUNPATH has an empty entry'

# A version that the library here lacks: as on an older system.
echo 'V_1 { lib_run; };' >one.map
echo 'V_1 { }; V_2 { lib_run; } V_1;' >two.map
build libv lib.c -Wl,-soname,libv.so -Wl,--version-script=two.map
# shellcheck disable=SC2016
build newer needs.c -L. -l:libv.so -Wl,-rpath,'$ORIGIN'
doctor 0 newer.so
build libv lib.c -Wl,-soname,libv.so -Wl,--version-script=one.map
doctor 3 newer.so
has '^finding +versions +it needs V_2, and .*/libv\.so has V_1: '
./open ./newer.so | grep -q "version .V_2. not found" || fail "ld.so takes what the doctor refuses"

build stack lib.c -z execstack
doctor 3 stack.so
has '^finding +stack .*-Wl,-z,noexecstack'
echo '__thread char big[4000]; char *tls(void) { return big; }' >tls.c
build tls tls.c -ftls-model=initial-exec
doctor 3 tls.so
has '^finding +static-tls +4000 bytes.*optional_static_tls=[0-9]+\)?$'
./open ./tls.so | grep -q 'static TLS' || fail "ld.so takes 4000 bytes of static TLS"
GLIBC_TUNABLES=$(grep -o 'glibc.rtld[^ ]*' out) ./open ./tls.so >opened ||
	fail "with the tunable as told: $(cat opened)"

echo 'void *malloc(unsigned long n) { return (void *)(n * 0); }' >allocator.c
build allocator -fno-builtin allocator.c
doctor 0 allocator.so
has '^note +deepbind +exports its own malloc'
echo 'void *malloc(unsigned long); void *allocate(void) { return malloc(1); }' >takes.c
build takes takes.c
$cc -rdynamic -fno-builtin allocator.c host.c -o host_allocates
doctor 3 --host=host_allocates takes.so
has '^finding +deepbind +host_allocates has its own malloc'

echo 'static char pool[99]; void *_Znwm(unsigned long n) { return pool + n; }' >pool.c
build pool pool.c
doctor 0 pool.so
has '^note +operators +exports its own operator new.*: heap profiles lack'
echo 'void *malloc(unsigned long); void *_Znwm(unsigned long n) { return malloc(n); }' >counting.c
build counting counting.c
doctor 0 counting.so
has_not '^note +operators'

echo 'extern "C" void thrower() { throw 1; }' >thrower.cc
if ${CXX:-c++} -g -shared -fPIC -Wl,--build-id -static-libstdc++ thrower.cc -o copy.so 2>/dev/null; then
	doctor 3 copy.so
	has '^finding +copies +exports a copy of the C\+\+ runtime.*--exclude-libs,ALL'
	${CXX:-c++} -g -shared -fPIC -Wl,--build-id -static-libstdc++ -static-libgcc \
		-Wl,--exclude-libs,ALL thrower.cc -o copy.so
	doctor 0 copy.so
else
	echo "no static libstdc++: not tried"
fi

# --- what is no library ---

$cc -c -g lib.c -o lib.o
head -c 4000 good.so >torn.so
cp good.so arm.so
printf '\267' | dd of=arm.so bs=1 seek=18 conv=notrunc status=none # e_machine: EM_AARCH64
for one in 'lib.o:object file' 'torn.so:cut short' 'arm.so:for AArch64' 'elsewhere:a debug file'; do
	doctor 3 "${one%%:*}"
	has "^finding +file +.*${one#*:}"
	[ "$(wc -l <out)" -eq 1 ] || fail "more than one line on ${one%%:*}"
done
# Two libraries, and no more than a name that means a line of its own.
cp stripped.so $'two\nlines.so'
doctor 3 good.so $'two\nlines.so'
has '^good\.so$'

# --- a process ---

cp good.so gone.so
cp good.so replaced.so
cp good.so stays.so
cat >three.c <<'C'
#include <dlfcn.h>
#include <stdio.h>
int main(int argc, char **argv)
{
	while (--argc)
		if (!dlopen(argv[argc], RTLD_NOW))
			puts(dlerror());
	puts("opened");
	fflush(stdout);
	getchar();
}
C
$cc -g three.c -o three -ldl
mkfifo stdin
./three ./gone.so ./replaced.so ./stays.so >opened <stdin &
pid=$!
exec 7>stdin
for ((i = 0; i < 200; i++)); do
	grep -q opened opened && break
	sleep 0.05
done
rm gone.so
mv relative.so replaced.so
wait_no_longer_than 60 "$tool" doctor $pid >out 2>err
[ $? -eq 3 ] || fail "doctor of a process: $(cat out err)"
has "^$work/replaced\\.so\$"
if [ -r "$(echo /proc/$pid/map_files/* | cut -d' ' -f1)" ]; then
	has '^  finding +mapping +its file was replaced, by build [0-9a-f]+: .*cp /proc/'
	has '^  finding +mapping +its file was deleted: .*cp /proc/'
	# As told.
	eval "$(sed -n 's/.*was deleted: .*\(cp [^ ]* \)NAME\.so.*/\1 kept.so/p' out)"
	cmp -s kept.so good.so || fail "what is kept as told is not the file that was deleted"
else
	echo "map_files may not be read here: replaced files not tried"
fi
has_not "^$work/(stays\\.so|three)\$"
has '^[0-9]+ libraries, [0-9]+ with findings$'
doctor 3 -v $pid
has "^$work/stays\\.so\$"
doctor 3 --json $pid
python=$(command -v python3) && {
	"$python" - out "$work" <<'PYTHON' || fail "the JSON document"
import json, sys
document = json.load(open(sys.argv[1]))
files = {entry["path"]: entry for entry in document["files"]}
assert document["libraries"] == len(document["files"])
good = files[sys.argv[2] + "/stays.so"]
assert len(good["build_id"]) >= 16 and len(good["text_crc32"]) == 8
assert all(check["level"] == "ok" for check in good["checks"]), good
problems = [f for f in files.values() if any(c["level"] == "finding" for c in f["checks"])]
assert document["libraries_with_findings"] == len(problems) > 0
PYTHON
}
exec 7>&-
wait $pid

# --- Go ---

if [ -z "$go" ] || ! "$go" version >/dev/null 2>&1; then
	[ "$failures" -eq 0 ] && skip "go is not installed: Go plugins not tried"
	finish
fi
export CGO_ENABLED=1 GOFLAGS=-mod=mod GOWORK=off GOTOOLCHAIN=local GOPROXY=off
[ -n "${HOME:-}${GOCACHE:-}${XDG_CACHE_HOME:-}" ] || export GOCACHE=$work/go_cache
go_module() { # FOLDER DEPENDENCY-FOLDER
	mkdir -p "$1"
	printf 'module example.org/app\n\ngo 1.18\n\nrequire example.org/dep v1.0.0\n\n' >"$1/go.mod"
	printf 'replace example.org/dep v1.0.0 => %s\n' "$2" >>"$1/go.mod"
}
for number in 1 2; do
	mkdir -p go/dep$number
	printf 'module example.org/dep\n\ngo 1.18\n' >go/dep$number/go.mod
	printf 'package dep\n\nfunc Number() int { return %s }\n' $number >go/dep$number/dep.go
	go_module go/app$number ../dep$number
	mkdir -p go/app$number/host go/app$number/plug
	cat >go/app$number/host/main.go <<'GO'
package main

import (
	"fmt"
	"os"
	"plugin"

	"example.org/dep"
)

func main() {
	_, err := plugin.Open(os.Args[1])
	fmt.Println(dep.Number(), err)
}
GO
	cat >go/app$number/plug/plug.go <<'GO'
package main

import "example.org/dep"

func Run() int { return dep.Number() }

func main() {}
GO
	(cd go/app$number && "$go" build -buildmode=plugin -o "$work/plug$number.so" ./plug) ||
		fail "the Go plugin $number cannot be built"
done
(cd go/app1 && "$go" build -o "$work/gohost" ./host) || fail "the Go host cannot be built"

doctor 0 --host=gohost plug1.so
has '^ok +go +go1\..*-buildmode=plugin$'
has '^ok +go-host +all [0-9]+ packages that it shares with gohost'
./gohost ./plug1.so | grep -q '^1 <nil>$' || fail "the Go host refuses what the doctor takes"
strip -o go_stripped.so plug1.so
doctor 0 go_stripped.so
has "^ok +symbols .*Go's own tables"
doctor 3 --host=gohost plug2.so
has '^finding +go-host +module example\.org/dep is => \.\./dep2.* here and => \.\./dep1.* in gohost'
has '^finding +go-host +[0-9]+ of [0-9]+ shared packages, such as example\.org/dep, .*plugin\.Open\(\) refuses it'
./gohost ./plug2.so | grep -q 'different version of package example.org/dep' ||
	fail "the Go host takes what the doctor refuses: $(./gohost ./plug2.so)"
doctor 3 --host=open plug1.so
has '^finding +go-host +open is no Go program'
# Another toolchain: the same file with another name in it.
own=$(sed -n 's/^ok  *go  *\(go1[0-9.]*\),.*/\1/p' out)
other=${own%?}x
LC_ALL=C sed "s/$own/$other/g" plug1.so >other.so
doctor 0 --host=gohost other.so
has "^note +go-host +built by $other, and gohost by $own"
finish
