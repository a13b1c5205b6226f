#!/bin/bash
# Every reader against every other, on large files of C, C++ by g++ and clang++, Rust and Go:
#
#   our DWARF reader = one on libdw     frames, names, files, lines, columns, declarations
#   a symbol map     = DWARF            the same, through the tool
#   a GSYM export    = llvm-gsymutil    frames, names, files, lines
#   our answers      = llvm-symbolizer  frames, files, lines; README.md has what differs
#
#   COUNT     addresses of each file (default 20000)
#   OBJECTS   files to compare, instead of those at hand
# It takes some minutes; make check has a small form of each.
. "${srcdir:-.}/tests/e2e/lib.sh"
count=${COUNT:-20000}
here=$source_folder/tests/symbols
compare=${builddir:-.}/tests/symbols/compare_dwarf
gsymutil=$(command -v llvm-gsymutil llvm-gsymutil-14 | head -n 1)
llvm=$(command -v llvm-symbolizer llvm-symbolizer-14 | head -n 1)
export PLUGPROF_SYMBOLS=$work/none

# ours FILE >ANSWERS: at random addresses of its code
ours() {
	python3 - "$1" "$count" <<'PYTHON' | "$tool" symbolize -e "$1" --format=json "${@:2}" 2>/dev/null
import random, subprocess, sys
random.seed(5)
lines = subprocess.run(["readelf", "-lW", sys.argv[1]], capture_output=True, text=True).stdout
code = [l.split() for l in lines.splitlines() if l.split()[:1] == ["LOAD"] and "E" in l[60:90]]
segments = [(int(c[2], 16), int(c[5], 16)) for c in code]
for start, size in random.choices(segments, [s for _, s in segments], k=int(sys.argv[2])):
    print(hex(start + random.randrange(size)))
PYTHON
}

compare_all() {
	"$compare" -n "$count" "$1" || fail "$1: libdw differs"
	if "$tool" map -q -o "$work/maps" "$1"; then
		ours "$1" >"$work/by_dwarf"
		ours "$1" --symbols="$work/maps" >"$work/by_map"
		cmp -s "$work/by_dwarf" "$work/by_map" ||
			fail "$1: its map differs: $(diff "$work/by_dwarf" "$work/by_map" | head -n 4)"
		echo "$1: $(wc -l <"$work/by_map") addresses by a map of $(cat "$work"/maps/*/*.psym |
			wc -c) bytes"
		[ -z "$gsymutil" ] || { "$tool" map --gsym "$work/gsym" "$1" &&
			python3 -B "$here/compare_gsym.py" "$tool" "$gsymutil" "$1" "$work/gsym" "$count"; } ||
			fail "$1: its GSYM differs"
		rm -rf "$work/maps"
	fi
	[ -z "$llvm" ] || python3 -B "$here/compare_llvm.py" "$tool" "$llvm" "$1" "$count" ||
		fail "$1: llvm-symbolizer differs"
}

build_objects() {
	for compiler in g++ clang++; do
		command -v $compiler >/dev/null || continue
		bash "$source_folder/tests/bench/make_cxx_library.sh" "$work/big_$compiler.so" $compiler 3 &&
			objects+=("$work/big_$compiler.so")
	done
	if command -v rustc >/dev/null; then
		cat >"$work/rusty.rs" <<'RUST'
use std::collections::{BTreeMap, HashMap};
#[no_mangle]
pub extern "C" fn rusty(n: u64) -> usize {
	let mut m: BTreeMap<String, Vec<u64>> = BTreeMap::new();
	let mut h: HashMap<u64, String> = HashMap::new();
	for i in 0..n {
		m.entry(format!("{:?}", i % 7)).or_default().push(i);
		h.insert(i, i.to_string());
	}
	let mut v: Vec<_> = h.into_iter().map(|(k, s)| (s, k)).collect();
	v.sort_by(|a, b| b.cmp(a));
	m.values().map(|v| v.iter().filter(|x| **x % 2 == 0).count()).sum::<usize>() + v.len()
}
RUST
		rustc -g -O --crate-type cdylib -C link-arg=-Wl,--build-id "$work/rusty.rs" -o "$work/rusty.so" &&
			objects+=("$work/rusty.so")
	fi
}

objects=()
if [ -n "${OBJECTS:-}" ]; then
	read -ra objects <<<"$OBJECTS"
else
	build_objects
	objects+=(/lib/x86_64-linux-gnu/libc.so.6 /lib/x86_64-linux-gnu/libm.so.6 "$tool" "$agent"
		"$(python3 -c 'import os, sys; print(os.path.realpath(sys.executable))')")
	python=$(python3 -c 'import sysconfig
print(sysconfig.get_config_var("LIBDIR"), sysconfig.get_config_var("INSTSONAME"), sep="/")')
	[ ! -e "$python" ] || objects+=("$python")
	for sample in "$samples/goplugin.so" "$samples/gohost"; do
		[ ! -e "$sample" ] || objects+=("$sample")
	done
fi
for object in "${objects[@]}"; do
	compare_all "$object"
done
finish
