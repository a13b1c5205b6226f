#!/bin/bash
# In a C++ library full of templates, lambdas and local types nearly every frame, inlined ones too, has
# a name that tells whose it is: at most 5 in 1000 are bare, as "operator()" or "find" are.
#
#   FILES       how many files of 3 MB debug information (default 1)
#   COMPILERS   a list (default $CXX)
. "${srcdir:-.}/tests/e2e/lib.sh"
need_samples
for command in python3 nm; do
	command -v $command >/dev/null || skip "no $command"
done
counted=0
for compiler in ${COMPILERS:-${CXX:-g++}}; do
	command -v "$compiler" >/dev/null || continue
	bash "$source_folder/tests/bench/make_cxx_library.sh" "$work/lib.so" "$compiler" "${FILES:-1}" || {
		fail "cannot build with $compiler"
		continue
	}
	python3 - "$tool" "$compiler" "$work/lib.so" "$samples"/plugin_shapes.so "$samples"/cxxhost <<'END' ||
import collections, json, re, subprocess, sys
tool, compiler, *libraries = sys.argv[1:]
frames, by_parents, bare = 0, 0, collections.Counter()


def look_through(library):
	global frames, by_parents
	nm = subprocess.run(["nm", "-S", "--defined-only", library], capture_output=True, text=True).stdout
	functions = [(int(a, 16), int(s, 16), n) for a, s, n in re.findall(r"^(\w+) (\w+) [tTwW] (\S+)$", nm, re.M)]
	c_names = {n for _, _, n in functions if not n.startswith("_Z")}
	addresses = [at for start, size, name in functions for at in range(start, start + size, 13)]
	out = subprocess.run([tool, "symbolize", "--format=json", "-e", library], capture_output=True, text=True,
		input="\n".join(map(hex, addresses))).stdout
	for answer in map(json.loads, out.splitlines()):
		for frame in answer["frames"] if answer["resolved"] else []:
			frames += 1
			name = re.sub(r"\.(cold|part|isra|constprop).*", "", frame["linkage_name"])
			# A name of C, or of C++ outside all namespaces, is whole as it is.
			if name.startswith("_Z") or name in c_names or name in ("_init", "_fini"):
				continue
			# The compiler left no linkage name: what it is in must tell.
			by_parents += 1
			if "::" not in frame["function"] and not frame["function"].endswith("@plt"):
				bare[frame["function"]] += 1


for library in libraries:
	look_through(library)
count = sum(bare.values())
print(f"{compiler}: of {frames} frames {by_parents} without a linkage name, {count} bare "
	f"({100 * count / frames:.2f}%): {bare.most_common(6)}")
sys.exit(not (frames > 10000 and by_parents >= 50 and count <= min(0.005 * frames, by_parents / 4)))
END
		fail "$compiler: too many bare names, or nothing to see"
	counted=$((counted + 1))
done
[ $counted -gt 0 ] || skip "no C++ compiler"
finish
