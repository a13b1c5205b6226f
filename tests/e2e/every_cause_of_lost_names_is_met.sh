#!/bin/bash
# Every cause known to us for a frame without a name, or with a wrong one, in profiles of plugins: each
# gives the right name or says that it has none, by symbolize and in stock go tool pprof.
# causes_of_lost_names.py has the table, and makes the profiles; here are the libraries for it.
. "${srcdir:-.}/tests/e2e/lib.sh"
need_samples
need_go
for command in python3 nm strip objcopy readelf; do
	command -v $command >/dev/null || skip "no $command"
done
fixtures=$source_folder/tests/fixtures

# build NAME FLAG...: lib/NAME.so from plugin.c.
mkdir "$work/lib" "$work/debug" "$work/elsewhere"
build() {
	"$cc" -O2 -g -shared -fPIC -Wl,--build-id "${@:2}" "$fixtures/plugin.c" -o "$work/lib/$1.so" ||
		fail "cannot build $1"
}
build plain
build rebuilt -DREBUILT
build far -Wl,-Ttext-segment=0x10000000
if command -v ld.lld >/dev/null; then
	build lld -fuse-ld=lld
fi
strip -s -o "$work/lib/stripped.so" "$work/lib/plain.so"
objcopy -R .note.gnu.build-id "$work/lib/plain.so" "$work/lib/no_id.so"
if [ -e "$samples/goplugin.so" ]; then
	strip -s -o "$work/lib/go_stripped.so" "$samples/goplugin.so"
	cp "$samples/goplugin.so" "$work/lib/go.so"
fi
if command -v "${CXX:-c++}" >/dev/null; then
	"${CXX:-c++}" -O2 -g -shared -fPIC -Wl,--build-id "$fixtures/plugin.cc" -o "$work/lib/cxx.so" ||
		fail "cannot build cxx"
fi
# What the recorder has to do: the host first, no location without a name, the build told by contents.
objcopy -R .note.gnu.build-id "$samples/plugin_codec.so" "$work/lib/replaced.so"
record replaced -F 1000 --cpu --raw --keep=never -- "$samples/host" -t 0.3 "$work/lib/replaced.so"
objcopy -R .note.gnu.build-id "$samples/plugin_nofp.so" "$work/lib/replaced.so"
record recorded -F 1000 --cpu -- "$samples/host" -t 0.3 "$samples/plugin_codec.so"

python3 "$source_folder/tests/e2e/causes_of_lost_names.py" "$work" "$tool" "$go" "$samples" || fail "see above"
finish
