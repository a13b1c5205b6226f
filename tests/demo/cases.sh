# shellcheck shell=bash disable=SC2034 # the variables are for those who source this
# The lives that plugins lead, a function for each, and what a profile of them must show.  Read by
# tests/e2e/plugins_keep_their_names.sh, which holds plugprof to it, and by table.sh, which shows what
# others print.
#
# A case is called in an empty folder of its own, with $samples, and sets:
#   title     what happens, in a few words
#   command   the program, an array; what it runs is samples/lives.c and samples/plugin_reload.c
#   shows     a line for each function that uses CPU time: its per cent, its name (a regex)
#   holds     the same for functions that hold memory at the end; '' where nothing is to be seen
#   verdict   regex for the reason that plugprof inspect gives for the plugin; '' any
#   symbols   folder of debug files, when the profile is to be named afterwards
#   environment  words NAME=VALUE for the program

cases="debug_info no_debug_info debug_link debug_folder stripped_in_place stripped deleted replaced
	reloaded overwritten closed same_address loaded_often namespace deepbind by_origin by_soname loads_another
	constructor_and_destructor from_memory no_build_id no_build_id_replaced thrown_through
	closed_under_its_thread killed jit jit_with_map"

begin_case() {
	command=("$samples/lives")
	holds='' verdict='' symbols='' environment=''
}

take() { # BUILD [NAME]: the sample plugin reload_BUILD.so as NAME
	cp "$samples/reload_$1.so" "${2:-plugin.so}"
}

case_debug_info() {
	title='debug info in the file'
	take alpha
	command+=(open ./plugin.so run 200)
	shows='100 alpha_step'
	holds='100 alpha_keep'
	verdict='dwarf .*debug info in the file'
}

case_no_debug_info() {
	title='strip -g'
	take alpha
	strip -g plugin.so
	command+=(open ./plugin.so run 200)
	shows='100 alpha_work'
	holds='100 alpha_keep'
	verdict='symbols .*no debug info but .symtab'
}

case_debug_link() {
	title='strip -s, debug file by debuglink'
	take alpha
	objcopy --only-keep-debug plugin.so plugin.debug
	objcopy --strip-all --add-gnu-debuglink=plugin.debug plugin.so
	command+=(open ./plugin.so run 200)
	shows='100 alpha_step'
	holds='100 alpha_keep'
	verdict='dwarf .*debug file .*plugin.debug'
}

build_id_of() {
	readelf -n "$1" | sed -n 's/.*Build ID: //p'
}

case_debug_folder() {
	title='strip -s, debug file under .build-id/'
	local id
	take alpha
	id=$(build_id_of plugin.so)
	mkdir -p "debug/.build-id/${id:0:2}"
	objcopy --only-keep-debug plugin.so "debug/.build-id/${id:0:2}/${id:2}.debug"
	strip -s plugin.so
	command+=(open ./plugin.so run 200)
	symbols=$PWD/debug
	shows='100 alpha_step'
	holds='100 alpha_keep'
	verdict='dwarf .*debug file'
}

case_stripped_in_place() {
	title='strip -s while it runs: the kept file has it all'
	take alpha
	strip -s -o stripped.so plugin.so
	command+=(open ./plugin.so rename stripped.so plugin.so run 200)
	shows='100 alpha_step'
	holds='100 alpha_keep'
	verdict='dwarf '
}

case_stripped() {
	title='strip -s, nothing else'
	take alpha
	strip -s plugin.so
	command+=(open ./plugin.so run 200)
	shows='100 plugin\.so!fn_[0-9a-f]+'
	holds='100 plugin\.so!fn_[0-9a-f]+'
	verdict='exports-only .*stripped, no debug file'
}

case_deleted() {
	title='deleted right after dlopen'
	take alpha
	command+=(open ./plugin.so unlink ./plugin.so run 200)
	shows='100 alpha_step'
	holds='100 alpha_keep'
	verdict='dwarf .*file missing, kept as'
}

case_replaced() {
	title='replaced by a rebuilt file, and loaded again'
	take alpha
	take beta new.so
	command+=(open ./plugin.so rename new.so plugin.so run 200 close open ./plugin.so run 200)
	shows='50 alpha_step
50 beta_step'
	holds='100 beta_keep'
}

case_reloaded() {
	title='hot reload: two builds at one path'
	take alpha
	take beta new.so
	command+=(open ./plugin.so run 200 close rename new.so plugin.so open ./plugin.so run 200 close)
	shows='50 alpha_step
50 beta_step'
}

case_overwritten() {
	title='closed, its file written to in place (cp), loaded again'
	take alpha
	take beta new.so
	command+=(open ./plugin.so run 200 close over new.so plugin.so open ./plugin.so run 200)
	shows='50 alpha_step
50 beta_step'
}

case_closed() {
	title='closed before the end'
	take alpha
	command+=(open ./plugin.so run 200 close)
	shows='100 alpha_step'
}

case_same_address() {
	title='A closed, B opened at its address'
	take alpha a.so
	take beta b.so
	command+=(open ./a.so run 200 close open ./b.so run 200 close)
	shows='50 alpha_step
50 beta_step'
}

case_loaded_often() {
	title='loaded and closed 1,000 times, elsewhere each time'
	take alpha
	command+=(times 1000 open ./plugin.so run 0 close push 20480)
	shows='95 alpha_step'
}

case_namespace() {
	title='a namespace of its own (dlmopen)'
	take alpha
	command+=(space ./plugin.so run 200)
	shows='100 alpha_step'
}

case_deepbind() {
	title='RTLD_DEEPBIND'
	take alpha
	command+=(deep ./plugin.so run 200)
	shows='100 alpha_step'
}

case_by_origin() {
	title="found by \$ORIGIN in the RUNPATH of the plugin that opens it"
	take outer
	mkdir deps
	cp "$samples/deps/libreload_inner.so" deps
	command+=(open ./plugin.so run 200)
	shows='100 inner_step'
}

case_by_soname() {
	title='found by its name in LD_LIBRARY_PATH'
	mkdir deps
	cp "$samples/deps/libreload_inner.so" deps
	environment="LD_LIBRARY_PATH=$PWD/deps"
	command+=(open libreload_inner.so run 200)
	shows='100 inner_step'
}

case_loads_another() {
	title='a plugin that loads a plugin; both are deleted'
	take outer
	mkdir deps
	cp "$samples/deps/libreload_inner.so" deps
	command+=(open ./plugin.so unlink ./plugin.so run 1 unlink deps/libreload_inner.so run 200)
	shows='100 inner_step'
}

case_constructor_and_destructor() {
	title='only a constructor and a destructor work'
	take loud
	command+=(times 10 open ./plugin.so close)
	shows='95 loud_step'
}

case_from_memory() {
	title='from a file in memory (memfd)'
	take alpha
	command+=(memory ./plugin.so unlink ./plugin.so run 200)
	shows='100 alpha_step'
	holds='100 alpha_keep'
}

case_no_build_id() {
	title='no build-ID; deleted'
	take alpha_no_id
	command+=(open ./plugin.so unlink ./plugin.so run 200)
	shows='100 alpha_step'
	verdict='no build-ID: known by content hash'
}

case_no_build_id_replaced() {
	title='no build-ID; replaced, and loaded again'
	take alpha_no_id
	take beta_no_id new.so
	command+=(open ./plugin.so run 200 rename new.so plugin.so close open ./plugin.so run 200)
	shows='50 alpha_step
50 beta_step'
	verdict='no build-ID: known by content hash'
}

case_thrown_through() {
	title='exceptions thrown through a C++ plugin'
	cp "$samples/boundary.so" plugin.so
	command=("$samples/cxxhost" -t 0.2 -r 10 ./plugin.so)
	shows='57 boundary::dig
14 cxxhost::callback
29 cxxhost::recover'
}

case_closed_under_its_thread() {
	title='closed while a thread of its own works in it'
	take thread
	command+=(open ./plugin.so run 0 close wait 200)
	shows='100 thread_step'
}

case_killed() {
	title='closed, then SIGKILL'
	take alpha
	command+=(open ./plugin.so unlink ./plugin.so run 200 close kill)
	shows='100 alpha_step'
}

case_jit() {
	title='generated code, nobody tells'
	command+=(jit 200)
	shows='100 \[anon-rx\]'
}

case_jit_with_map() {
	title='generated code, with a perf map'
	environment='PERF_MAP=1'
	command+=(jit 200)
	shows='100 generated loop'
}
