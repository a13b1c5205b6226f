"""Symbols: what naming addresses costs, beside the peers.  Called by run.sh: symbols.py FOLDER.

One big C++ library: $BENCH_LIBRARY, or one of about 200 MB of debug information that
make_cxx_library.sh makes in FOLDER once, which takes some minutes.  Addresses are spread evenly over
its functions.  CPU seconds and MB of memory: medians of rounds in which all take turns.  Then what the
end of a recording costs, when a host of 50 such libraries, of 3 MB each, has to be named.
"""

import glob
import gzip
import os
import random
import shutil
import statistics
import subprocess
import sys

FOLDER = sys.argv[1]
TOOL = os.environ["TOOL"]
GSYMUTIL = shutil.which("llvm-gsymutil") or shutil.which("llvm-gsymutil-14") or "llvm-gsymutil"
ROUNDS = 5 * max(1, int(os.environ.get("BENCH_ROUNDS") or 1))
FILES = 56
PLUGINS = 50
PLUGIN_SECONDS = 1.6


def library():
    path = os.environ.get("BENCH_LIBRARY") or f"{FOLDER}/big.so"
    if not os.path.exists(path):
        here = os.path.dirname(os.path.abspath(__file__))
        print("  making a big library, for some minutes", file=sys.stderr)
        subprocess.run(
            ["bash", f"{here}/make_cxx_library.sh", path, os.environ.get("CXX", "c++"), str(FILES)],
            check=True,
        )
    return path


def functions(path):
    output = subprocess.run(["nm", "-S", "--defined-only", path], capture_output=True, text=True)
    found = []
    for line in output.stdout.splitlines():
        fields = line.split()
        if len(fields) == 4 and fields[2] in "tTwW":
            found.append((int(fields[0], 16), int(fields[1], 16)))
    return found


def measure(command, addresses):
    """CPU seconds, MB; None: it failed."""
    child = os.fork()
    if child == 0:
        os.dup2(os.open(addresses, os.O_RDONLY), 0)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        try:
            os.execvp(command[0], command)
        except OSError:
            os._exit(127)
    _, status, usage = os.wait4(child, 0)
    if status:
        return None
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def compare(what, goal, commands, addresses, rounds=ROUNDS):
    results = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            result = measure(command, addresses)
            if result:
                results[name].append(result)
    texts = []
    for name, values in results.items():
        if values:
            seconds, size = (statistics.median(v[i] for v in values) for i in (0, 1))
            texts.append(f"{name} {seconds:.3f} s, {size:.0f} MB")
        else:
            texts.append(f"{name}: not here")
    print(f"{what:34} {goal:28} {'; '.join(texts)}", flush=True)


def count_locations(profile):
    """Messages in field 4 (Location) of a profile (proto/profile.proto)."""
    data, at, count = gzip.open(profile).read(), 0, 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        key = number()
        count += key >> 3 == 4
        size = number()
        at += size if key & 7 == 2 else 0
    return count


def measure_end_of_record(path):
    """What is done when a recording ends: from the spool's addresses to a named profile."""
    plugins = [f"{path}.parts/part{i + 1}.so" for i in range(PLUGINS)]
    if not all(map(os.path.exists, plugins)):
        print(f"{'end of record, 50 libraries':34} {'1 s, with maps 0.1 s':28} not here: no {path}.parts")
        return
    source = os.path.dirname(os.path.abspath(__file__)) + "/call_parts.c"
    host, raw, store = (f"{FOLDER}/{name}" for name in ("call_parts", "raw.pb.gz", "part_maps"))
    subprocess.run([os.environ.get("CC", "cc"), "-O2", "-o", host, source], check=True)
    subprocess.run(
        [TOOL, "record", "-q", "--cpu", "--raw", "-F", "999", "-o", raw, "--", host, f"{path}.parts",
         str(PLUGINS), str(PLUGIN_SECONDS)],
        check=True, stdout=subprocess.DEVNULL,
    )
    subprocess.run([TOOL, "map", "-q", "-o", store, *plugins], check=True)
    name = [TOOL, "symbolize", "-q", raw, "-o", f"{FOLDER}/named.pb.gz"]
    what = f"end of record, 50 libraries, {count_locations(raw)} frames"
    compare(what, "1 s", {"plugprof, DWARF": name}, os.devnull)
    compare(what, "0.1 s", {"plugprof, maps": [*name, "-s", store]}, os.devnull)


def main():
    path = library()
    chosen = functions(path)
    weights = [size for _, size in chosen]
    store = f"{FOLDER}/maps"
    random.seed(7)
    lists = {}
    for count in (1, 1000, 100000):
        lists[count] = f"{FOLDER}/addresses{count}"
        with open(lists[count], "w") as to:
            for start, size in random.choices(chosen, weights, k=count):
                to.write(f"{start + random.randrange(size):#x}\n")

    os.environ["PLUGPROF_SYMBOLS"] = f"{FOLDER}/no-store"
    ours = [TOOL, "symbolize", "--format=llvm", "--demangle=full", "-e", path]
    llvm = ["llvm-symbolizer", f"--obj={path}"]
    eu = ["eu-addr2line", "-i", "-f", "-C", "-e", path]
    binutils = ["addr2line", "-i", "-f", "-C", "-e", path]
    all_of_them = {"plugprof": ours, "llvm": llvm, "eu-addr2line": eu, "addr2line": binutils}
    compare("1 address, DWARF", "16 ms, 40 MB", all_of_them, lists[1])
    compare("1,000 addresses, DWARF", "0.33 s, llvm x 0.27",
            {"plugprof": ours, "llvm": llvm, "addr2line": binutils}, lists[1000])
    compare("1,000 addresses, DWARF, elfutils", "-", {"eu-addr2line": eu}, lists[1000], 1)
    compare("100,000 addresses, DWARF", "0.8 s, llvm x 0.2",
            {"plugprof": ours, "llvm": llvm}, lists[100000])
    gsym = f"{FOLDER}/big.gsym"
    compare("making a map", "0.8 s, 320 MB", {
        "plugprof": [TOOL, "map", "-q", "-o", store, path],
        "llvm-gsymutil": [GSYMUTIL, f"--convert={path}", f"--out-file={gsym}"],
    }, os.devnull, 3)
    compare("100,000 addresses, map", "0.35 s, 30 MB",
            {"plugprof": [*ours[:2], "--format=llvm", "-s", store, "-e", path]}, lists[100000])
    with open(f"{lists[100000]}.gsym", "w") as to:
        to.writelines(f"{line.strip()} {gsym}\n" for line in open(lists[100000]))
    compare("100,000 addresses, GSYM", "-",
            {"llvm-gsymutil": [GSYMUTIL, "--addresses-from-stdin"]}, f"{lists[100000]}.gsym", 3)
    sizes = subprocess.run(["size", "-A", path], capture_output=True, text=True).stdout
    debug = sum(int(l.split()[1]) for l in sizes.splitlines() if l.startswith(".debug"))
    ours_size = sum(map(os.path.getsize, glob.glob(f"{store}/*/*.psym")))
    gsym_size = os.path.getsize(gsym) if os.path.exists(gsym) else 0
    print(f"{'size of the map':34} {'4 % of DWARF, half of GSYM':28} "
          f"{ours_size / 1e6:.1f} MB of {debug / 1e6:.0f} MB DWARF, {100 * ours_size / debug:.1f} %; "
          f"GSYM {gsym_size / 1e6:.1f} MB")
    measure_end_of_record(path)


main()
