#!/bin/bash
# In stripped files of C, C++, Rust and Go an address has its own function's name or none; in Go's
# also the lines and inlined functions, by its own tables.
. "${srcdir:-.}/tests/e2e/lib.sh"
need_samples
for command in nm python3 strip; do
	command -v $command >/dev/null || skip "no $command"
done
export PLUGPROF_SYMBOLS=$work/store

# compare WHOLE [--all]
compare() {
	cp "$1" "$work/stripped"
	strip -s -R .gnu_debuglink "$work/stripped"
	python3 -B "$source_folder/tests/symbols/compare_stripped.py" "$tool" "$1" "$work/stripped" \
		"${@:2}" >"$work/out" 2>&1 || fail "$1: $(head -n 20 "$work/out")"
	tail -n 1 "$work/out"
}

for whole in "$samples"/plugin_*.so "$samples/host" "$samples/cxxhost" "$agent" "$tool"; do
	compare "$whole"
done
if command -v rustc >/dev/null; then
	cat >"$work/rusty.rs" <<'RUST'
#[no_mangle]
pub extern "C" fn rusty(n: u64) -> usize {
	let mut m = std::collections::BTreeMap::new();
	for i in 0..n {
		m.entry(format!("{}", i % 7)).or_insert_with(Vec::new).push(i);
	}
	m.values().map(|v| v.iter().filter(|x| **x % 2 == 0).count()).sum()
}
RUST
	rustc -g -O --crate-type cdylib "$work/rusty.rs" -o "$work/rusty.so" && compare "$work/rusty.so"
fi
# Go with cgo has functions of C too; without it all is Go's.
[ -e "$samples/goplugin.so" ] && compare "$samples/goplugin.so"
if [ -x "$go" ]; then
	mkdir "$work/go" && cd "$work/go" || exit 99
	cat >main.go <<'GO'
package main

import (
	"fmt"
	"os"
	"sort"
)

func main() {
	sort.Strings(os.Args)
	fmt.Println(os.Args)
}
GO
	echo 'module x' >go.mod
	export CGO_ENABLED=0
	for mode in exe pie; do
		"$go" build -buildmode=$mode -o $mode . || fail "go build $mode"
		compare "$PWD/$mode" --all
	done
fi
finish
