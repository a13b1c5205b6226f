#!/bin/bash
# Programs, plugins and C libraries in Go that have no GNU build-ID are known by Go's own: the agent, maps,
# debug files and the search for a file mean the same by it, stripped or not.
. "${srcdir:-.}/tests/e2e/lib.sh"
need_go
for command in strip objcopy readelf; do
	command -v $command >/dev/null || skip "no $command"
done
export CGO_ENABLED=1 GOFLAGS=-buildvcs=false GOWORK=off GOTOOLCHAIN=local GO111MODULE=off
[ -n "${HOME:-}${GOCACHE:-}${XDG_CACHE_HOME:-}" ] || export GOCACHE="$work/cache"

mkdir "$work/go" "$work/whole" "$work/run"
cat >"$work/go/busy.go" <<'GO'
package main

// typedef unsigned long number;
import "C"
import (
	"fmt"
	"time"
)

//go:noinline
func GoBusy(value C.number) C.number {
	for i := C.number(0); i < 100000; i++ {
		value = (value ^ i) * 0x100000001b3
	}
	return value
}

//export Busy
func Busy(milliseconds C.number) C.number {
	value := milliseconds
	for start := time.Now(); time.Since(start) < time.Duration(milliseconds)*time.Millisecond; {
		value = GoBusy(value)
	}
	return value
}

func main() { fmt.Println(Busy(400)) }
GO
# With a package for which Go's own linker links libc: a static program cannot be preloaded.
sed 's/^import "C"/import _ "os\/user"/; /typedef/d; /^\/\/export/d; s/C\.number/uint64/g' \
	"$work/go/busy.go" >"$work/go/pure.go"
cat >"$work/go/opener.go" <<'GO'
package main

import (
	"fmt"
	"os"
	"plugin"
)

func main() {
	opened, err := plugin.Open(os.Args[1])
	if err == nil {
		var run plugin.Symbol
		if run, err = opened.Lookup("Run"); err == nil {
			fmt.Println(run.(func(uint64) uint64)(400))
		}
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}
GO
sed 's/^func Busy(/func Run(/; s/Busy(400)/Run(400)/' "$work/go/pure.go" >"$work/go/plugin.go"
cat >"$work/go/caller.c" <<'C'
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	void *library = dlopen(argv[1], RTLD_NOW);
	unsigned long (*busy)(unsigned long);

	*(void **)&busy = library ? dlsym(library, "Busy") : NULL;
	return busy ? !printf("%lu\n", busy(400)) : 1;
}
C
"$cc" "$work/go/caller.c" -o "$work/caller" -ldl || fail "cannot build the caller"

# build NAME SOURCE MODE [LDFLAGS]: whole/NAME without GNU's note, whoever links.  Before Go 1.24 its linker
# never makes one, and does not know the flag.
build() {
	ldflags="${4:-} -extldflags=-Wl,--build-id=none"
	"$go" build -buildmode="$3" -ldflags="-B none $ldflags" -o "$work/whole/$1" "$work/go/$2" 2>/dev/null ||
		"$go" build -buildmode="$3" -ldflags="$ldflags" -o "$work/whole/$1" "$work/go/$2" ||
		fail "cannot build $1"
	readelf -nW "$work/whole/$1" 2>/dev/null | grep 'Build ID:' && fail "$1 has a GNU build-ID"
}
build program pure.go exe
build linked_by_c pure.go exe -linkmode=external
build library.so busy.go c-shared
build opener opener.go exe
build plugin.so plugin.go plugin

# id_of FILE: as maps have it
id_of() {
	rm -rf "$work/one"
	"$tool" map -q -o "$work/one" "$1" || fail "no map of $1"
	find "$work/one" -name '*.psym' | sed 's|.*/\(..\)/\([0-9a-f]*\)\.psym|\1\2|'
}

# names_of NAME: of a raw profile, with what is in $work/maps alone; its library is gone.
names_of() {
	"$tool" symbolize -q --symbols="$work/maps" "$work/$1.pb.gz" -o "$work/$1.named.pb.gz" ||
		fail "$1: symbolize: status $?"
	pprof "$1.named" -top -sample_index=samples
	has '\.GoBusy$'
	"$tool" inspect "$work/$1.named.pb.gz" >"$work/out"
	has " map .*${2//./\\.}"
}

# check NAME [PROGRAM...]: stripped, run by PROGRAM, and deleted.
check() {
	local name=$1 file=$work/run/$1 id
	id=$(id_of "$work/whole/$name")
	[ ${#id} -eq 40 ] || fail "$name: build-ID $id"
	strip -o "$file" "$work/whole/$name"
	[ "$(id_of "$file")" = "$id" ] || fail "$name: another build-ID when stripped"
	rm -rf "$work/maps"
	"$tool" map -q -o "$work/maps" "$work/whole/$name"
	record_well "$name" -F 1000 --cpu --raw --keep=never -- "${@:2}" "$file"
	"$go" tool pprof -raw "$work/$name.pb.gz" >"$work/out" 2>/dev/null
	has "/run/${name//./\\.} $id"
	mv "$file" "$file.gone"
	names_of "$name" "$name"
}
check program
check linked_by_c
check library.so "$work/caller"
check plugin.so "$work/whole/opener"

# A debug file is found by it.
id=$(id_of "$work/whole/program")
mkdir -p "$work/debug/.build-id/${id:0:2}"
objcopy --only-keep-debug "$work/whole/program" "$work/debug/.build-id/${id:0:2}/${id:2}.debug"
"$tool" symbolize -q --symbols="$work/debug" "$work/program.pb.gz" -o "$work/by_debug.pb.gz"
"$tool" inspect "$work/by_debug.pb.gz" >"$work/out"
has ' dwarf .*program'

# Another build at the path is not taken for the one that ran.
sed -i 's/0x100000001b3/0x100000001b5/' "$work/go/pure.go"
build rebuilt pure.go exe
cp "$work/whole/rebuilt" "$work/run/program"
"$tool" symbolize --strict "$work/program.pb.gz" -o "$work/replaced.pb.gz" 2>"$work/out"
[ $? -eq 3 ] || fail "--strict takes the other build"
has "program.*file replaced"

# The file of a library that vanishes while it runs is kept under it.
cp "$work/whole/library.so" "$work/run/library.so"
record_well kept -F 1000 --cpu --raw -- "$work/caller" "$work/run/library.so"
id=$(id_of "$work/whole/library.so")
[ -s "$PLUGPROF_SYMBOLS/${id:0:2}/${id:2}.elf" ] || fail "library.so is not kept as $id"

# C programs with the same Go archive in them are different builds.
"$go" build -buildmode=c-archive -o "$work/go/archive.a" "$work/go/busy.go" || fail "no c-archive"
for twice in 1 2; do
	printf '%s\n' '#include "archive.h"' "int more(int x) { return x * $twice; }" \
		"$(for ((i = 1; i < twice; i++)); do echo "int even_more(int x) { return more(x) / 3; }"; done)" \
		'int main(void) { return Busy(1) == 0; }' >"$work/go/main.c"
	"$cc" -I"$work/go" -Wl,--build-id=none "$work/go/main.c" "$work/go/archive.a" -lpthread -o "$work/c$twice" ||
		fail "cannot link the archive"
done
[ "$(id_of "$work/c1")" != "$(id_of "$work/c2")" ] || fail "two C programs have one build-ID"

# Go's linker leaves the note that it makes by default since 1.24 out of the segment of notes.
"$go" build -o "$work/default" "$work/go/pure.go"
id=$(readelf -nW "$work/default" 2>/dev/null | sed -n 's/.*Build ID: //p')
if [ -n "$id" ]; then
	record_well default -F 1000 --cpu -- "$work/default"
	"$go" tool pprof -raw "$work/default.pb.gz" >"$work/out" 2>/dev/null
	has "/default $id"
fi
finish
