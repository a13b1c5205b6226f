# shellcheck shell=bash
# The programs of the matrix; sourced by check.sh, in a folder of its own.  For each NAME:
#
#   prepare_NAME       make what it needs; 77 and a reason on stdout: skip it
#   run_NAME PREFIX... run it once, behind PREFIX; its stdout, stderr and status are compared
#   hot_NAME           regex of a function, and its least share of the samples; where there is one
#   filter_NAME        what of its output may differ from run to run, as a sed script
#   heapless_NAME      set: it allocates next to nothing
#   least_NAME         what share of the samples must be named to a root (0.99)
#   jit_NAME           set: frames of generated code have no names
#   assembly_NAME      set: it has hand-written code, stripped and without unwind tables: LIBRARY!0xADDRESS
# shellcheck disable=SC2034,SC2154,SC2016 # read, and set, by check.sh; the dollars are other languages'

all_programs="perl lua sqlite openssl gcc python numpy ruby php node node_jit java rust go
	gstreamer ffmpeg postgres redis nginx apache"

# needs COMMAND...
needs() {
	for one; do
		command -v "$one" >/dev/null || {
			echo "$one is not installed"
			return 77
		}
	done
}

# plugin OUTPUT SOURCE FLAG...: build it, with the kernel.
plugin() {
	output=$1 source=$2
	shift 2
	"$cc" -O2 -g -fPIC -shared -fomit-frame-pointer "$@" -o "$output" "$plugins/$source" >cc.out 2>&1 || {
		echo "its plugin does not build: $(head -n 2 cc.out | tr '\n' ' ')"
		return 77
	}
}

# wait_for COMMAND...: until it succeeds, ten seconds at most.
wait_for() {
	for _ in $(seq 200); do
		"$@" >/dev/null 2>&1 && return
		sleep 0.05
	done
	echo "no answer from: $*" >&2
	return 1
}

# --- interpreters ---

prepare_perl() { needs perl; }
run_perl() {
	"$@" perl -MDigest::SHA=sha512_hex -MList::Util=sum -MStorable=dclone -e '
		my $t = "x" x 1000000; $t = sha512_hex($t x 2) x 8000 for 1 .. 50;
		print sha512_hex($t), " ", sum(@{dclone([1 .. 100000])}), "\n"'
}
hot_perl() { echo 'sha512|SHA\.so' 0.4; }

prepare_lua() { needs lua5.4 && plugin hosted.so lua.c -I/usr/include/lua5.4; }
run_lua() { "$@" lua5.4 -e 'package.cpath = "./?.so"; print(require("hosted").work(2000))'; }
hot_lua() { echo 'hosted_kernel$' 0.9; }

prepare_ruby() { needs ruby; }
run_ruby() {
	"$@" ruby -rdigest -rbigdecimal -rjson -e '
		s = "a" * 1000; 40000.times { |i| s = Digest::SHA512.hexdigest(s) * 8 }
		puts s[0, 40], JSON.generate((1..20000).to_a).length, BigDecimal("2").sqrt(200).to_s[0, 60]'
}
hot_ruby() { echo 'SHA512|digest|sha2\.so|libcrypto' 0.1; }

prepare_php() { needs php; }
run_php() {
	"$@" php -r '$s = "a"; for ($i = 0; $i < 40000; $i++) { $s = hash("sha512", $s) . mb_strtoupper($s);
		$s = substr($s, 0, 2000); } echo md5($s), "\n"; echo strlen(gzcompress(str_repeat($s, 2000))), "\n";'
}
hot_php() { echo 'SHA512|sha512|mbstring\.so|php_mb_|mbfl|conv_' 0.2; }

python=/usr/bin/python3
prepare_python() {
	needs $python && plugin hosted.so python.c "-I$(echo /usr/include/python3.*[0-9])"
}
run_python() {
	"$@" $python -c 'import sys; sys.path.insert(0, "."); import hosted, json, zlib
print(hosted.work(1500), len(zlib.compress(json.dumps(list(range(100000))).encode())))'
}
hot_python() { echo 'hosted_kernel$' 0.6; }

prepare_numpy() {
	needs $python || return
	$python -c 'import numpy' 2>/dev/null || {
		echo "$python has no numpy"
		return 77
	}
}
run_numpy() {
	OPENBLAS_NUM_THREADS=2 "$@" $python -c 'import numpy
a = numpy.arange(1000000, dtype=numpy.int64) * 7919 % 1000003
for i in range(20): b = numpy.sort(a); a = (a + i) % 1000003
m = numpy.ones((400, 400))
for i in range(20): m = m.dot(m) / 400
print(b[:3], b.sum(), m.sum())'
}
hot_numpy() { echo 'sort|LONG_|_multiarray|libblas|dgemm' 0.3; }

prepare_node() { needs node && plugin hosted.node node.c -I/usr/include/node; }
run_node() { "$@" node -e 'console.log(require("./hosted.node").work(2000))'; }
hot_node() { echo 'hosted_kernel$' 0.5; }
jit_node=yes

prepare_node_jit() { needs node; }
run_node_jit() {
	"$@" node --perf-basic-prof --no-maglev -e '
		function spin(n) { let x = 0; for (let i = 0; i < n; i++) x = (x * 31 + i) % 1000003; return x }
		let sum = 0; for (let i = 0; i < 60; i++) sum += spin(1000000);
		console.log(sum, require("zlib").deflateSync(Buffer.alloc(4000000, "abcd")).length)'
}
hot_node_jit() { echo 'spin' 0.3; }
jit_node_jit=yes

prepare_java() {
	needs java javac || return
	home=$(dirname "$(dirname "$(readlink -f "$(command -v javac)")")")
	plugin libhosted.so jni.c -I"$home/include" -I"$home/include/linux" &&
		javac -d . "$plugins/Hosted.java"
}
run_java() { "$@" java -Xmx64m -cp . Hosted "$PWD/libhosted.so" 2000; }
filter_java() { echo 's/[0-9]* threads/some threads/'; } # the collector's come and go
hot_java() { echo 'hosted_kernel$' 0.3; }
jit_java=yes
least_java=0.95 # its compiler uses rbp as it likes

# --- compiled hosts ---

prepare_sqlite() { needs sqlite3 && plugin hosted.so sqlite.c; }
run_sqlite() {
	"$@" sqlite3 :memory: '.load ./hosted' 'select hosted_work(1500);' \
		'with recursive n(i) as (select 1 union all select i + 1 from n where i < 300000)
			select sum(i * i) from n;'
}
hot_sqlite() { echo 'hosted_kernel$' 0.5; }

prepare_openssl() {
	needs openssl && head -c 60000000 /dev/zero >zeros
	openssl dgst -provider legacy -provider default -md4 /dev/null >/dev/null 2>&1 || {
		echo "openssl has no legacy provider"
		return 77
	}
}
run_openssl() { "$@" openssl dgst -provider legacy -provider default -whirlpool zeros; }
hot_openssl() { echo 'legacy\.so|whirlpool|WHIRLPOOL' 0.5; }

prepare_gcc() {
	needs gcc || return
	for i in 1 2 3; do
		{
			echo "int sink$i;"
			for j in $(seq 150); do
				echo "int f${i}_$j(int x) { for (int i = 0; i < x; i++) sink$i += i * $j ^ x;"
				echo "return sink$i; }"
			done
		} >unit$i.c
	done
	echo 'int main(void) { return f1_1(3) & 0; }' >>unit1.c
}
run_gcc() { "$@" gcc -O2 -flto -fuse-linker-plugin -o linked unit1.c unit2.c unit3.c; }

prepare_rust() {
	needs rustc || return
	if ! rustc -O -g --crate-type cdylib -o libhosted.so "$plugins/rust_plugin.rs" 2>rust.out ||
		! rustc -O -g -o rust_host "$plugins/rust_host.rs" 2>>rust.out; then
		echo "it does not build: $(tail -n 1 rust.out)"
		return 77
	fi
}
run_rust() { "$@" ./rust_host "$PWD/libhosted.so" 2000; }
hot_rust() { echo 'hosted_kernel$' 0.1; }

prepare_go() {
	[ -x "$samples/gohost" ] || {
		echo "no gohost among the samples"
		return 77
	}
}
run_go() { "$@" "$samples/gohost" -n 2 -r 200 "$samples/goplugin.so"; }
heapless_go=yes
hot_go() { echo 'c_kernel$' 0.3; }

prepare_gstreamer() {
	needs gst-launch-1.0 || return
	gst-launch-1.0 -q fakesrc num-buffers=1 ! fakesink # the first run makes its registry
}
run_gstreamer() {
	"$@" gst-launch-1.0 -q videotestsrc num-buffers=150 ! video/x-raw,width=640,height=480 ! videoconvert ! \
		video/x-raw,format=RGB ! fakesink
}
hot_gstreamer() { echo 'videotestsrc|video_test_src|orc|libgstvideo|paint_tmpline' 0.2; }
filter_gstreamer() { echo 's/[0-9]* threads/some threads/'; } # its pool's end when they like
jit_gstreamer=yes # orc generates code

prepare_ffmpeg() { needs ffmpeg; }
run_ffmpeg() {
	"$@" ffmpeg -nostdin -v error -threads 2 -f lavfi -i testsrc=duration=3:size=640x360:rate=25 -c:v mpeg4 \
		-f framemd5 -fflags +bitexact -flags:v +bitexact -
}
assembly_ffmpeg=yes
hot_ffmpeg() { echo 'libav|ff_|encode' 0.2; }

# --- servers: what their client sees is the output; they end by a signal ---

# serve STOP_SIGNAL READY CLIENT SERVER...: the server's status, and what its client prints.
serve() {
	signal=$1 ready=$2 client=$3
	shift 3
	"$@" &
	server=$!
	wait_for "$ready" && "$client"
	kill -s "$signal" $server
	wait $server
	echo "server ended: $?"
}

prepare_redis() { needs redis-server redis-cli && plugin hosted.so redis.c; }
redis_ready() { redis-cli -s "$PWD/redis.sock" ping | grep -q PONG; }
redis_client() {
	redis-cli -s "$PWD/redis.sock" hosted.work 1500
	redis-benchmark -s "$PWD/redis.sock" -q -n 20000 -c 8 -t set,get,lpush >/dev/null
	redis-cli -s "$PWD/redis.sock" debug digest
}
run_redis() {
	serve TERM redis_ready redis_client "$@" redis-server --port 0 --unixsocket "$PWD/redis.sock" --save '' \
		--loadmodule "$PWD/hosted.so" --logfile redis.log --enable-debug-command yes
}
hot_redis() { echo 'hosted_kernel$' 0.3; }

prepare_nginx() {
	needs nginx wrk curl || return
	echo=/usr/lib/nginx/modules/ngx_http_echo_module.so
	[ -f "$echo" ] || {
		echo "nginx has no echo module"
		return 77
	}
	seq 20000 >page.txt
	cat >nginx.conf <<-CONF
		load_module $echo;
		user root;
		worker_processes 2;
		daemon off;
		error_log $PWD/nginx.log;
		pid $PWD/nginx.pid;
		events {}
		http {
			access_log off;
			server {
				listen 127.0.0.1:18471;
				location /echo { echo_duplicate 2000 "plugin "; }
				location / { root $PWD; gzip on; gzip_types *; }
			}
		}
	CONF
}
nginx_ready() { curl -sf http://127.0.0.1:18471/echo; }
nginx_client() {
	curl -s http://127.0.0.1:18471/echo | md5sum
	wrk -t 1 -c 4 -d 1 http://127.0.0.1:18471/echo >/dev/null
	wrk -t 1 -c 4 -d 1 -H 'Accept-Encoding: gzip' http://127.0.0.1:18471/page.txt >/dev/null
	curl -s http://127.0.0.1:18471/page.txt | md5sum
}
run_nginx() { serve QUIT nginx_ready nginx_client "$@" nginx -p "$PWD" -c "$PWD/nginx.conf"; }
filter_nginx() { echo 's/[0-9]* descriptors/some descriptors/'; } # connections at the end
hot_nginx() { echo 'ngx_|deflate|libz' 0.3; }

prepare_apache() {
	needs apache2 wrk curl || return
	modules=/usr/lib/apache2/modules
	seq 20000 >page.txt
	cat >apache.conf <<-CONF
		ServerRoot $PWD
		ServerName localhost
		Listen 127.0.0.1:18472
		PidFile $PWD/apache.pid
		ErrorLog $PWD/apache.log
		DocumentRoot $PWD
		LoadModule mpm_event_module $modules/mod_mpm_event.so
		LoadModule authz_core_module $modules/mod_authz_core.so
		LoadModule filter_module $modules/mod_filter.so
		LoadModule deflate_module $modules/mod_deflate.so
		LoadModule autoindex_module $modules/mod_autoindex.so
		SetOutputFilter DEFLATE
		StartServers 1
		ServerLimit 1
	CONF
}
apache_ready() { curl -sf http://127.0.0.1:18472/page.txt; }
apache_client() {
	curl -s http://127.0.0.1:18472/page.txt | md5sum
	wrk -t 1 -c 4 -d 1 -H 'Accept-Encoding: gzip' http://127.0.0.1:18472/page.txt >/dev/null
}
run_apache() { serve TERM apache_ready apache_client "$@" apache2 -f "$PWD/apache.conf" -D FOREGROUND; }
filter_apache() { filter_nginx; }
hot_apache() { echo 'deflate|libz|longest_match' 0.3; }

bin=$(echo /usr/lib/postgresql/*/bin)
as_postgres=
# It refuses to be root's.
[ "$(id -u)" != 0 ] || as_postgres="setpriv --reuid=nobody --regid=nogroup --clear-groups"

prepare_postgres() {
	needs pgbench psql setpriv || return
	[ -x "$bin/postgres" ] || {
		echo "postgres is not installed"
		return 77
	}
	[ -z "$as_postgres" ] || chown nobody . || return
	# shellcheck disable=SC2086 # words
	$as_postgres "$bin/initdb" -D "$PWD/data" -U bench -A trust --no-sync >initdb.out 2>&1 || {
		echo "initdb fails: $(tail -n 1 initdb.out)"
		return 77
	}
}
pg() { psql -h "$PWD" -U bench -d postgres -Atq "$@"; }
postgres_ready() { pg_isready -q -h "$PWD" -U bench -d postgres; }
# It has more and fewer processes of its own from run to run.
filter_postgres() {
	echo '/FATAL: .* \(starting up\|administrator command\)/d; s/[0-9]* descriptors/some descriptors/'
}
postgres_client() {
	pg -c 'create extension pgcrypto; create extension pg_trgm' 2>&1
	pg -c "select md5(string_agg(digest(i::text || repeat('x', 4000), 'sha512')::text, ''))
		from generate_series(1, 8000) i"
	pg -c "select sum(similarity(i::text, (i * 7)::text)) > 1 from generate_series(1, 60000) i"
	pgbench -h "$PWD" -U bench -i -q postgres >/dev/null 2>&1
	pgbench -h "$PWD" -U bench -c 2 -T 1 -S postgres >/dev/null 2>&1
	pg -c 'drop extension pgcrypto; drop extension pg_trgm' 2>&1
}
run_postgres() {
	# shellcheck disable=SC2086 # words
	serve INT postgres_ready postgres_client $as_postgres "$@" "$bin/postgres" -D "$PWD/data" -k "$PWD" \
		-c listen_addresses= -c fsync=off -c logging_collector=off -c log_min_messages=fatal
}
hot_postgres() { echo 'pgcrypto|pg_trgm|libcrypto|sha512|SHA512|trgm' 0.03; }
