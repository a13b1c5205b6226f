#!/bin/sh
# Build the sample programs:  build.sh OUTDIR [SRCDIR]
#
# CC, CXX and GO say with what.  The flags are fixed, because the profiles'
# known shapes depend on them.  The sources are only read.
set -eu

if [ $# -lt 1 ] || [ $# -gt 2 ]; then
	echo "usage: $0 OUTDIR [SRCDIR]" >&2
	exit 2
fi
mkdir -p "$1/deps"
out=$(cd "$1" && pwd)
src=$(cd "${2:-$(dirname "$0")}" && pwd)

CC=${CC:-cc}
CXX=${CXX:-c++}
GO=${GO:-go}
flags="-O2 -g -Wall -Wextra -Wl,--build-id=sha1"
program="$flags -pthread"
plugin="$flags -fPIC -shared -fvisibility=hidden -pthread"

# CC and CXX may be a command with arguments, as in CC="ccache gcc", and the
# flags are lists: both are meant to be split.
# shellcheck disable=SC2086
{
	$CC -std=gnu11 $program -o "$out/host" "$src/host.c" -ldl
	$CC -std=gnu11 $program -o "$out/sorter" "$src/sorter.c"
	$CC -std=gnu11 $program -o "$out/lives" "$src/lives.c" -ldl
	$CXX -std=gnu++14 $program -o "$out/cxxhost" "$src/cxxhost.cc" -ldl
	$CXX -std=gnu++14 $program -o "$out/labels" "$src/labels.cc"

	$CC -std=gnu11 $plugin -o "$out/plugin_codec.so" \
		"$src/plugin_codec.c" "$src/plugin_codec_hidden.c"
	$CC -std=gnu11 $plugin -fomit-frame-pointer \
		-o "$out/plugin_nofp.so" "$src/plugin_nofp.c"
	$CC -std=gnu11 $plugin -o "$out/plugin_heap.so" "$src/plugin_heap.c"
	$CC -std=gnu11 $plugin -Wl,-soname,libchain_dep.so \
		-o "$out/deps/libchain_dep.so" "$src/chain_dep.c"
	# shellcheck disable=SC2016
	$CC -std=gnu11 $plugin -Wl,-rpath,'$ORIGIN/deps' -Wl,--enable-new-dtags \
		-o "$out/plugin_chain.so" "$src/plugin_chain.c" -ldl
	$CXX -std=gnu++14 $plugin -o "$out/plugin_shapes.so" "$src/plugin_shapes.cc"
	$CXX -std=gnu++14 $plugin -o "$out/plugin_thrower.so" "$src/plugin_thrower.cc"
	$CXX -std=gnu++14 $plugin -o "$out/boundary.so" "$src/boundary.cc"

	# The builds of one plugin: what they are made from is their name.
	reload="$CC -std=gnu11 $plugin $src/plugin_reload.c"
	$reload -DNAME=alpha -o "$out/reload_alpha.so"
	$reload -DNAME=beta -o "$out/reload_beta.so"
	$reload -DNAME=loud -DLOUD -o "$out/reload_loud.so"
	$reload -DNAME=alpha -Wl,--build-id=none -o "$out/reload_alpha_no_id.so"
	$reload -DNAME=beta -Wl,--build-id=none -o "$out/reload_beta_no_id.so"
	$reload -DNAME=thread -DTHREAD -o "$out/reload_thread.so"
	# shellcheck disable=SC2016
	$reload -DNAME=outer '-DINNER="libreload_inner.so"' -Wl,-rpath,'$ORIGIN/deps' \
		-Wl,--enable-new-dtags -o "$out/reload_outer.so" -ldl
	$reload -DNAME=inner -Wl,-soname,libreload_inner.so -o "$out/deps/libreload_inner.so"
}

if ! command -v "${GO%% *}" >/dev/null 2>&1; then
	echo "samples: no go, so no gohost and no goplugin.so"
	exit 0
fi

# A plugin fits only the host that was built by the same Go, with the same
# flags, from the same module: always build both.
export CGO_ENABLED=1 GOFLAGS=-buildvcs=false GOWORK=off GOTOOLCHAIN=local
if [ -z "${HOME:-}${GOCACHE:-}${XDG_CACHE_HOME:-}" ]; then
	export GOCACHE="$out/.gocache"
fi
cd "$src/go"
# shellcheck disable=SC2086
{
	$GO build -o "$out/gohost" ./host
	$GO build -o "$out/golabels" ./labels
	$GO build -buildmode=plugin -o "$out/goplugin.so" ./plugin
}
