#!/bin/bash
# Our DWARF reader gives the same frames as one on libdw, on random addresses of C, C++, Go and
# Rust, of DWARF 2 to 5, compressed, split, shared by dwz, by both compilers.
#
#   OBJECTS   more files to compare
. "${srcdir:-.}/tests/e2e/lib.sh"

compare=${builddir:-.}/tests/symbols/compare_dwarf
fixtures=$source_folder/tests/fixtures

# build NAME COMPILER FLAGS SOURCE
build() {
	command -v "${2%% *}" >/dev/null || return 0
	# shellcheck disable=SC2086 # words
	$2 $3 -O2 -shared -fPIC -I"$fixtures" "$fixtures/$4" -o "$work/$1.so" || fail "cannot build $1"
}
for version in 2 3 4 5; do
	build "cc$version" "${CC:-cc}" -gdwarf-$version plugin.c
	build "cxx$version" "${CXX:-c++}" -gdwarf-$version plugin.cc
	build "clang$version" clang++ -gdwarf-$version plugin.cc
done
build types "${CXX:-c++}" "-g -fdebug-types-section" plugin.cc
build zlib "${CXX:-c++}" "-g -gz=zlib" plugin.cc
build old "${CXX:-c++}" "-g -gz=zlib-gnu" plugin.cc
build wide "${CXX:-c++}" "-g -gdwarf64" plugin.cc
build lto "${CXX:-c++}" "-g -flto" plugin.cc
(cd "$work" && build split4 "${CXX:-c++}" "-gsplit-dwarf -gdwarf-4" plugin.cc)
(cd "$work" && build split5 "${CXX:-c++}" "-gsplit-dwarf -gdwarf-5" plugin.cc)
(cd "$work" && build splitclang clang++ "-gsplit-dwarf -gdwarf-5" plugin.cc)
if command -v dwz >/dev/null; then
	cp "$work/cxx4.so" "$work/dwz1.so"
	cp "$work/cxx4.so" "$work/dwz2.so"
	dwz -m "$work/common.dwz" "$work/dwz1.so" "$work/dwz2.so" 2>/dev/null
fi

# shellcheck disable=SC2086 # words
"$compare" -n 10000 "$work"/*.so "$samples"/*.so "$samples/gohost" "$samples/cxxhost" "$tool" \
	"$agent" /lib/x86_64-linux-gnu/libc.so.6 ${OBJECTS:-} >"$work/out" || fail "they differ"
cat "$work/out"
[ "$(grep -c ' 0 differences' "$work/out")" -ge 20 ] || fail "hardly anything was compared"
finish
