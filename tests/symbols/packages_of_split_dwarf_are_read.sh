#!/bin/bash
# A package (.dwp) beside a library, as dwp and llvm-dwp make them of DWARF 4 and 5 of both compilers,
# names every address as the .dwo files did that it was made of; one of another library names nothing.
. "${srcdir:-.}/tests/e2e/lib.sh"
fixtures=$source_folder/tests/fixtures
for command in readelf objcopy; do
	command -v $command >/dev/null || skip "no $command"
done

# answers NAME: of every seventh byte of lib.so's code, in $work/NAME.
answers() {
	"$tool" symbolize --format=json -e lib.so <addresses >"$work/$1" 2>"$work/err" || fail "symbolize: status $?"
}
# equal NAME NAME WHAT
equal() {
	cmp -s "$work/$1" "$work/$2" || fail "$3: $(diff "$work/$1" "$work/$2" | head -n 4)"
}

# package PACKAGER: of lib.so.  Some packagers never end on some of what compilers write.
package() {
	timeout 3 "$1" -e lib.so -o lib.so.dwp 2>"$work/packager"
}

compared=0
# check NAME CC CXX VERSION PACKAGER
check() {
	name=$1 packager=$5 cxx=$3
	for command in "$2" "$3" "$5"; do
		command -v "$command" >/dev/null || return
	done
	rm -rf "$work/build"
	mkdir "$work/build"
	cd "$work/build" || exit 99
	flags="-g -gsplit-dwarf -gdwarf-$4 -O2 -fPIC -I$fixtures"
	# shellcheck disable=SC2086 # words
	{
		"$2" $flags -c "$fixtures/plugin.c" -o c.o && "$3" $flags -c "$fixtures/plugin.cc" -o cc.o
	} || fail "$name: cannot compile"
	"$cxx" -shared -o lib.so c.o cc.o || fail "$name: cannot link"
	if ! package "$packager"; then # llvm-dwp cannot take gcc's plugin.c of DWARF 5, but C++
		name+=', C++ alone'
		"$cxx" -shared -o lib.so cc.o || fail "$name: cannot link"
		rm -f lib.so.dwp
		package "$packager" || {
			echo "$name: $packager fails"
			return
		}
	fi
	mv lib.so.dwp whole.dwp
	# shellcheck disable=SC2046 # two words
	set -- $(readelf -SW lib.so | sed -n 's/.* \.text *PROGBITS *\([0-9a-f]*\) *[0-9a-f]* *\([0-9a-f]*\).*/\1 \2/p')
	for ((at = 0x$1; at < 0x$1 + 0x$2; at += 7)); do
		printf '0x%x\n' $at
	done >addresses
	answers files
	mv whole.dwp lib.so.dwp
	mkdir apart
	mv ./*.dwo apart
	answers package
	equal files package "$name"
	[ "$(grep -c 'plugin\.cc*"' "$work/package")" -gt 50 ] || fail "$name: hardly anything has a line"

	# The package was it that knew; another library's is of no use.
	mv lib.so.dwp apart
	answers without
	cmp -s "$work/without" "$work/files" && fail "$name: the same without the package"
	[ ! -s "$work/last.dwp" ] || cp "$work/last.dwp" lib.so.dwp
	answers foreign
	equal without foreign "$name: another library's package was used"
	cp apart/lib.so.dwp "$work/last.dwp"
	head -c 3000 apart/lib.so.dwp >lib.so.dwp
	answers damaged
	equal without damaged "$name: a damaged package was used"
	rm -f lib.so.dwp

	# Beside a debug file.
	objcopy --only-keep-debug lib.so lib.debug
	objcopy --strip-all --add-gnu-debuglink=lib.debug lib.so
	mv apart/lib.so.dwp lib.dwp
	answers stripped
	equal files stripped "$name, stripped"
	compared=$((compared + 1))
}

for packager in dwp llvm-dwp; do
	for version in 4 5; do
		check "gcc, DWARF $version, $packager" gcc g++ $version "$packager"
		check "clang, DWARF $version, $packager" clang clang++ $version "$packager"
	done
done
echo "$compared packages"
[ $compared -gt 0 ] || skip "neither dwp nor llvm-dwp is installed"
finish
