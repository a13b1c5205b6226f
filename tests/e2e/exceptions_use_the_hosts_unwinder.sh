#!/bin/bash
# C++ exceptions through a C host and its plugins work, and are thrown by libgcc's unwinder: no
# _Unwind function is bound to us or to libunwind. A throw takes as many instructions as without us.
. "${srcdir:-.}/tests/e2e/lib.sh"
need_samples

# bindings NAME PROGRAM...: who is bound to whom for _Unwind functions: in $work/bindings, lines
# "FROM TO FUNCTION".
bindings() {
	LD_DEBUG=bindings LD_DEBUG_OUTPUT="$work/ld" LD_PRELOAD="$agent" \
		PLUGPROF="spool=$spool,freq=1000,file=$work/$1.pb.gz" \
		"${@:2}" >"$work/out" 2>"$work/err" || fail "$1: status $?: $(cat "$work/err")"
	cat "$work"/ld.* >"$work/debug"
	rm -f "$work"/ld.*
	sed -n -E "s/.*binding file ([^ ]+) \[0\] to ([^ ]+) \[0\]: normal symbol \`(_Unwind_\w+)'.*/\1 \2 \3/p" \
		"$work/debug" >"$work/bindings"
	grep -v ' [^ ]*/libgcc_s\.so\.1 ' "$work/bindings" && fail "$1: bound to another unwinder"
	grep -E 'libunwind' "$work/debug" && fail "$1: libunwind is loaded"
}

is_bound() {
	grep -Eq "^[^ ]*/$1 [^ ]*/libgcc_s\\.so\\.1 $2\$" "$work/bindings" ||
		fail "$2 of $1 is not bound to libgcc"
}

# A C host: libstdc++ comes with the plugin.
LD_DEBUG=bindings LD_DEBUG_OUTPUT="$work/plain" "$samples/host" "$samples/plugin_thrower.so" \
	"$samples/plugin_shapes.so" >"$work/expected" 2>&1
bindings host "$samples/host" "$samples/plugin_thrower.so" "$samples/plugin_shapes.so"
cmp "$work/expected" "$work/out" || fail "host: other output"
is_bound 'libstdc\+\+\.so\.6' _Unwind_RaiseException
is_bound 'plugin_thrower\.so' _Unwind_Resume
# Exactly as without us.
sed -n -E "s/.*binding file ([^ ]+) \[0\] to ([^ ]+) \[0\]: normal symbol \`(_Unwind_[A-Za-z_]+)'.*/\1 \2 \3/p" \
	"$work"/plain.* | sort -u >"$work/plain_bindings"
sort -u "$work/bindings" | cmp - "$work/plain_bindings" || fail "host: other bindings than without us"

# A C++ host that throws both ways across the plugin's boundary.
"$samples/cxxhost" "$samples/boundary.so" >"$work/expected" 2>&1
bindings cxxhost "$samples/cxxhost" "$samples/boundary.so"
cmp "$work/expected" "$work/out" || fail "cxxhost: other output"
is_bound 'libstdc\+\+\.so\.6' _Unwind_RaiseException

# A plugin's throw, counted by callgrind: what 2000 more of them take.
cat >"$work/thrown.cc" <<'END'
#include <stdexcept>
extern "C" __attribute__((noipa)) void thrown(int depth)
{
	if (depth == 0)
		throw std::runtime_error("thrown");
	thrown(depth - 1);
}
extern "C" void plugin_throw(int times)
{
	for (int i = 0; i < times; i++)
		try {
			thrown(10);
		} catch (const std::exception &) {
		}
}
END
cat >"$work/throws.c" <<'END'
#include <dlfcn.h>
#include <stdlib.h>
int main(int argc, char **argv)
{
	void *plugin = dlopen(argv[1], RTLD_NOW);
	void (*run)(int) = plugin ? (void (*)(int))dlsym(plugin, "plugin_throw") : NULL;
	if (!run)
		return 1;
	run(atoi(argv[2]));
	return 0;
}
END
instructions() { # LIBRARY TIMES
	LD_PRELOAD=$1 PLUGPROF="cpu=off,spool=$spool,recorder=$$" valgrind --tool=callgrind \
		--callgrind-out-file=/dev/null "$work/throws" "$work/thrown.so" "$2" 2>&1 |
		sed -n 's/.*Collected : //p'
}
if command -v valgrind >/dev/null && "${CXX:-c++}" -O1 -shared -fPIC -o "$work/thrown.so" "$work/thrown.cc" &&
	$cc -O1 -w -o "$work/throws" "$work/throws.c" -ldl; then
	alone=$(($(instructions "" 3000) - $(instructions "" 1000)))
	with=$(($(instructions "$agent" 3000) - $(instructions "$agent" 1000)))
	echo "2000 throws: $alone instructions, $with with us"
	[ "$alone" -gt 2000000 ] || fail "2000 throws: only $alone instructions"
	[ $((100 * with)) -le $((105 * alone)) ] || fail "2000 throws: $with instructions, without us $alone"
else
	echo "not counted: throws want valgrind and a C++ compiler"
fi

# Nothing else of the host's is bound to us than what we export on purpose.
grep -E "to [^ ]*/libplugprof\.so" "$work/debug" |
	sed -n -E "s/.*normal symbol \`([^']+)'.*/\1/p" | sort -u >"$work/bound"
sed -n -E 's/^\t([A-Za-z_]+);$/\1/p' "$source_folder/src/agent/exports.map" | sort -u >"$work/exports"
comm -23 "$work/bound" "$work/exports" | grep . && fail "bound to us and not among our hooks"
finish
