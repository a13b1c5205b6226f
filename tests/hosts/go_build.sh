# shellcheck shell=bash
# Building the Go hosts of tests/hosts/go; sourced behind tests/e2e/lib.sh.
# shellcheck disable=SC2154 # what lib.sh sets

export CGO_ENABLED=1 GOFLAGS=-buildvcs=false GOWORK=off GOTOOLCHAIN=local

# every_go: the go commands of this machine, one a line, the one that tests use first.
every_go() {
	{
		echo "$go"
		ls /usr/lib/go-*/bin/go /usr/local/go*/bin/go 2>/dev/null
	} | while read -r one; do
		"$one" version 2>/dev/null | sed "s|.* go\([0-9.]*\).*|\1 $one|"
	done | sort -u -k1,1 | sed 's/.* //'
}

# labels_build GO FLAGS OPTION...: the program whose goroutines have labels, in $work.
labels_build() {
	local go_command=$1 flags=$2
	shift 2
	cd "$source_folder/tests/hosts/go" || exit 99
	"$go_command" build "$@" -ldflags="$flags" -o "$work/labels" ./labels >"$work/build.out" 2>&1
	local status=$?
	cd "$work" || exit 99
	[ $status -eq 0 ] || fail "$go_command labels '$flags' $*: $(cat "$work/build.out")"
	return $status
}

# go_build GO FLAGS KIND: the program and its plugin (KIND race: for the race detector), or the
# library for C hosts (KIND shared), in $work.  A plugin fits only the host built the same way.
go_build() {
	local go_command=$1 flags=$2 kind=$3 race=
	[ "$kind" = race ] && race=-race
	cd "$source_folder/tests/hosts/go" || exit 99
	if [ "$kind" = shared ]; then
		"$go_command" build -ldflags="$flags" -buildmode=c-shared -o "$work/shared.so" ./cshared &&
			"$cc" -O2 -g -o "$work/c_host" c_host.c -pthread -ldl
	else
		# shellcheck disable=SC2086 # nothing, or a word
		"$go_command" build $race -ldflags="$flags" -o "$work/gohost" ./host &&
			"$go_command" build $race -ldflags="$flags" -buildmode=plugin -o "$work/goplugin.so" ./plugin
	fi >"$work/build.out" 2>&1
	local status=$?
	cd "$work" || exit 99
	[ $status -eq 0 ] || fail "$go_command $kind '$flags' does not build: $(cat "$work/build.out")"
	return $status
}
