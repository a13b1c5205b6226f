"""Runs the bench programs and prints the table.  Called by run.sh: table.py FOLDER-OF-PROGRAMS.

The rows are functions below, each with what it measures, beside which goal, and how.
"""

import glob
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict

import dl_rows
import host_rows
from statistics_of_pairs import with_interval

PROGRAMS = sys.argv[1]
AGENT = os.environ["AGENT"]
ROUNDS = max(1, int(os.environ.get("BENCH_ROUNDS") or 1))
DEEP = f"{PROGRAMS}/deep_stack.so"
GPERFTOOLS = next(
    iter(glob.glob("/usr/lib/*/libprofiler.so.0") + glob.glob("/usr/lib/libprofiler.so.0")), None
)
WORK = tempfile.mkdtemp(prefix="plugprof-bench.")
SPOOLS = tempfile.mkdtemp(
    prefix="plugprof-bench.", dir="/dev/shm" if os.path.isdir("/dev/shm") else None
)

rows = []


def row(what, goal, ours, peers="-", note=""):
    rows.append((what, goal, ours, peers, note))
    print(f"  done: {what}: {ours}", file=sys.stderr)


def ours(freq, recorder=True):
    """The environment that profiles with our agent.  RECORDER: no profile is written at the end,
    the spool stays, as under "plugprof record"."""
    settings = f"freq={freq},heap=off,spool={SPOOLS},file={WORK}/%p.pb.gz"
    if recorder:
        settings += f",recorder={os.getpid()}"
    return {"LD_PRELOAD": AGENT, "PLUGPROF": settings}


def gperftools(freq):
    return {
        "LD_PRELOAD": GPERFTOOLS,
        "CPUPROFILE": f"{WORK}/gperftools",
        "CPUPROFILE_FREQUENCY": str(freq),
    }


def run(program, *arguments, env=None, before=()):
    """The lines PROGRAM prints, in words."""
    command = [*before, f"{PROGRAMS}/{program}", *map(str, arguments)]
    result = subprocess.run(
        command, env={"PATH": os.environ["PATH"], **(env or {})}, check=True, text=True,
        stdout=subprocess.PIPE, stderr=None if program != "overhead" else subprocess.DEVNULL,
    )  # fmt: skip
    return [line.split() for line in result.stdout.splitlines()]


def take_spool_cost():
    """What the one spool left behind says of its handlers; it is removed."""
    (spool,) = glob.glob(f"{SPOOLS}/*.spool")
    cost = {key: float(value) for key, value in run("spool_cost", spool)}
    os.unlink(spool)
    return cost


# --- unwinding ---


def measure_unwind():
    results = defaultdict(dict)
    calls = 60 * ROUNDS
    for what, who, middle, mean, frames in run("unwinders", DEEP, 9 * ROUNDS, calls, 60):
        results[what][who] = float(middle), float(mean), int(frames)

    def peers(what, form):
        return ", ".join(
            f"{who} {form(*result)}" for who, result in results[what].items() if who != "ours"
        )

    def in_ns(middle, _, frames):
        return f"{middle:.0f} ns ({middle / frames:.1f}/frame)"

    def in_us(middle, mean, _):
        return f"{middle / 1000:.1f} us (mean {mean / 1000:.1f})"

    row(
        "unwind 36 frames, warm", "220 ns", in_ns(*results["warm"]["ours"]), peers("warm", in_ns),
        f"minimum of {9 * ROUNDS} rounds",
    )  # fmt: skip
    row(
        "the same, caches flushed", "6.5 us", in_us(*results["cold"]["ours"]),
        peers("cold", in_us), f"median of {calls}, 192 MiB touched in between",
    )  # fmt: skip
    row(
        "first call on a new thread", "10 us", in_us(*results["first"]["ours"]),
        peers("first", in_us), "unwinding alone, called back to back",
    )  # fmt: skip
    again, first, frames = results["deep"]["ours"]
    row(
        f"below {frames} frames", "100 us", f"{again / 1000:.1f} us", "-",
        f"leaves and root; the first time on a thread {first / 1000:.0f} us",
    )  # fmt: skip


# --- the first sample on a new thread ---


def handler_calls(trace):
    """The system calls of each handler in strace's output, made between signal and sigreturn."""
    handlers, open_ones = [], {}
    for line in open(trace, encoding="utf-8", errors="replace"):
        tid, _, rest = line.partition(" ")
        rest = rest.strip()
        if re.match(r"--- SIGRT\w+ \{.*si_code=SI_TIMER", rest):
            open_ones[tid] = []
        elif tid in open_ones:
            name = re.match(r"(\w+)\(", rest)
            if name and name[1] == "rt_sigreturn":
                handlers.append(open_ones.pop(tid))
            elif name:
                open_ones[tid].append(name[1])
    return handlers


def measure_thread():
    """Threads with half a period of CPU time each: half of them have one sample, none has two."""
    threads = 300 * ROUNDS
    run("short_threads", DEEP, threads, 10000, env=ours(50))
    cost = take_spool_cost()
    row(
        "first sample of a thread, in the handler", "10 us", f"{cost['median'] / 1000:.1f} us", "-",
        f"median of {cost['samples']:.0f} by timers 20 ms apart; p99 {cost['p99'] / 1000:.0f} us",
    )  # fmt: skip
    if not shutil.which("strace"):
        row("system calls in that handler", "none", "-", "-", "no strace here")
        return
    trace = f"{WORK}/strace"
    strace = ["strace", "-f", "-qq", "-o", trace]
    for name, value in ours(50).items():
        strace += ["-E", f"{name}={value}"]
    run("short_threads", DEEP, 60, 10000, before=strace)
    for spool in glob.glob(f"{SPOOLS}/*.spool"):
        os.unlink(spool)
    handlers = handler_calls(trace)
    if not handlers:
        row("system calls in that handler", "none", "-", "-", "strace saw no handler")
        return
    clean = sum(1 for calls in handlers if not calls)
    counts = Counter(call for calls in handlers for call in calls)
    named = ", ".join(f"{name} {count}" for name, count in counts.most_common())
    row(
        "system calls in that handler", "none",
        f"{sum(counts.values()) / len(handlers):.2f} a sample", "-",
        f"none in {clean} of {len(handlers)}" + (f"; in all: {named}" if named else "")
        + "; madvise gives the spool its next 16 KiB, openat to tgkill are the scan for threads",
    )  # fmt: skip


# --- the handler, and the whole program ---

SLICE_MS = 20


def overheads(blocks, env=None, empty_hz=None):
    """Per cent of CPU time added, per block; the cost of a signal's delivery in ns, if told."""
    arguments = [DEEP, SLICE_MS, blocks] + ([empty_hz] if empty_hz else [])
    added, delivery = [], None
    for first, second in run("overhead", *arguments, env=env):
        if first == "delivery":
            delivery = float(second)
        else:
            added.append((int(second) / int(first) - 1) * 100)
    return added, delivery


def measure_overhead():
    for hz, goal in ((99, "0.1 %"), (250, "0.25 %"), (1000, "0.5 %")):
        # At 99 Hz at least 1000 samples: the handler's own row is taken from them.
        parts = 3 * ROUNDS
        blocks, peer_blocks = (90, 60) if hz == 99 else (60, 40)
        added, peer, empty, costs = [], [], [], []
        for _ in range(parts):
            added += overheads(blocks, ours(hz))[0]
            costs.append(take_spool_cost())
            more, delivery = overheads(peer_blocks, empty_hz=hz)
            empty += more
            if GPERFTOOLS:
                peer += overheads(peer_blocks, gperftools(hz))[0]
        samples = sum(cost["samples"] for cost in costs)
        seconds = parts * blocks * 2 * SLICE_MS / 1000
        middle = statistics.median(cost["median"] for cost in costs)
        mean = sum(cost["mean"] * cost["samples"] for cost in costs) / samples
        tail = max(cost["p99"] for cost in costs)
        if hz == 99:
            row(
                "in the handler at 99 Hz, 36 frames", "5 us", f"{middle / 1000:.1f} us", "-",
                f"median, store included; p99 {tail / 1000:.0f} us, mean {mean / 1000:.1f} us of "
                f"{samples:.0f} samples",
            )  # fmt: skip
        rate = samples / seconds
        expected = rate * (middle + delivery) / 1e7
        row(
            f"whole program, {hz} Hz", goal, with_interval(added, "%"),
            f"an empty handler {with_interval(empty, '%')}"
            + (f", gperftools {with_interval(peer, '%')}" if peer else ", no gperftools here"),
            f"{len(added) * 2} pairs of {SLICE_MS} ms; {rate:.0f} signals/s x ({middle / 1000:.1f}"
            f" us handler + {delivery / 1000:.1f} us delivery) = {expected:.2f} %",
        )  # fmt: skip


# --- starting ---


def joined(env):
    return ";".join(f"{name}={value}" for name, value in env.items())


def measure_start():
    """One sample a second: in so short a time hardly ever one, so nothing is written."""
    # The interpreter itself: what is first in PATH may be a shell script that looks for it.
    python = next((p for p in ("/usr/bin/python3", sys.executable) if os.path.exists(p)), None)
    programs = [("true", "2 ms", [shutil.which("true")], 400)]
    programs.append(("python3 -c pass", "5 ms", [python, "-c", "pass"], 120))
    variants = {"plain": {}, "ours": ours(1, recorder=False), "written": ours(99, recorder=False)}
    if GPERFTOOLS:
        variants["gperftools"] = gperftools(99)
    for name, goal, command, count in programs:
        lines = run(
            "paired", count * ROUNDS, *map(joined, variants.values()), "--", *command
        )  # fmt: skip
        wall, cpu = defaultdict(list), defaultdict(list)
        for words in lines:
            values = [int(word) / 1e6 for word in words]
            for at, variant in enumerate(variants):
                wall[variant].append(values[2 * at] - values[0])
                cpu[variant].append(values[2 * at + 1] - values[1])
        plain = statistics.median(int(words[0]) for words in lines) / 1e6
        row(
            f"start-up added to {name}", goal, with_interval(wall["ours"], "ms"),
            f"gperftools {with_interval(wall['gperftools'], 'ms')}" if GPERFTOOLS else "-",
            f"wall, {len(lines)} pairs, {plain:.1f} ms without; CPU "
            f"{statistics.median(cpu['ours']):.2f} ms; at 99 Hz, and a profile written where a "
            f"tick came: mean {statistics.mean(wall['written']):.1f} ms",
        )  # fmt: skip
    for left in glob.glob(f"{SPOOLS}/*.spool"):
        os.unlink(left)


# --- processes ---


def measure_process():
    """In turn with each environment: what is added to a fork, a thread, an exec."""
    variants = {"plain": {}, "ours": ours(99), "heap": our_heap()}
    if GPERFTOOLS:
        variants["gperftools"] = gperftools(99)
    if JEMALLOC:
        variants["jemalloc"] = heap_peers().get("jemalloc", {})
    added = {name: ([], [], []) for name in variants}
    plain = ([], [], [])
    for turn in range(12 * ROUNDS):
        order = list(variants) if turn % 2 else list(reversed(variants))
        took = {
            name: [float(word) for word in run("process_costs", 200, env=variants[name])[0]]
            for name in order
        }
        for kind in range(3):
            plain[kind].append(took["plain"][kind])
            for name in variants:
                added[name][kind].append(took[name][kind] - took["plain"][kind])
    kinds = [("a fork that ends at once", "100"), ("a thread's start and end", "5"),
             ("an exec that ends at once", "2000")]  # fmt: skip
    for kind, (what, goal) in enumerate(kinds):
        peers = ", ".join(
            f"{name} {with_interval(added[name][kind], 'us')}"
            for name in variants if name in ("gperftools", "jemalloc")
        )  # fmt: skip
        row(
            f"added to {what}", f"{goal} us", with_interval(added["ours"][kind], "us"),
            peers or "-",
            f"{statistics.median(plain[kind]):.1f} us without; allocations alone "
            f"{with_interval(added['heap'][kind], 'us')}",
        )  # fmt: skip
    remove_spools()


# --- memory ---


def measure_memory():
    samples, threads = 10000, 200

    def moments(env=None):
        lines = run("footprint", DEEP, samples, threads, env=env)
        return {moment: (int(rss), int(pss)) for moment, rss, pss in lines}

    without = moments()
    with_agent = moments(ours(1))
    taken = take_spool_cost()["samples"]

    def added(moment):
        return [b - a for a, b in zip(without[moment], with_agent[moment])]

    start, after = added("start"), added("samples")
    each = (added("threads")[0] - added("thread")[0]) / threads
    note = "" if taken > samples else "; no samples could be sent here"
    row(
        "fixed memory", "6 MiB", f"{after[0] / 1024:.1f} MiB", "-",
        f"Rss added after {samples} samples of 2048 stacks, Pss {after[1] / 1024:.1f}; before the "
        f"first one Rss {start[0] / 1024:.1f}, Pss {start[1] / 1024:.1f}{note}",
    )  # fmt: skip
    row(
        "memory a thread", "24 KiB", f"{each:.1f} KiB", "-",
        f"Rss added by {threads} more, sampled 10 times each, over what they take themselves",
    )  # fmt: skip


# --- allocations ---

HEAPTRACK = "/usr/lib/heaptrack/libheaptrack_preload.so"
JEMALLOC = next(iter(glob.glob("/usr/lib/*/libjemalloc.so.2")), None)
FORWARD = {"LD_PRELOAD": f"{PROGRAMS}/forward.so"}


def our_heap(interval="512k", more=""):
    return {
        "LD_PRELOAD": AGENT,
        "PLUGPROF": f"cpu=off,heap={interval},recorder={os.getpid()},spool={SPOOLS}" + more,
    }


def heap_peers():
    peers = {}
    if JEMALLOC:
        peers["jemalloc"] = {"LD_PRELOAD": JEMALLOC}
        peers["jemalloc's profiler"] = {
            "LD_PRELOAD": JEMALLOC, "MALLOC_CONF": "prof:true,lg_prof_sample:19"
        }  # fmt: skip
    if os.path.exists(HEAPTRACK):
        peers["heaptrack"] = {"LD_PRELOAD": HEAPTRACK, "DUMP_HEAPTRACK_OUTPUT": "/dev/null"}
    return peers


def remove_spools():
    for spool in glob.glob(f"{SPOOLS}/*.spool"):
        os.unlink(spool)


def measure_pairs(what, goal, repeats, arguments):
    """Nanoseconds a pair, as ratios to the plain one of the same repetition."""
    variants = {"plain": {}, "forwarding": FORWARD, "ours": our_heap(), **heap_peers()}
    times = defaultdict(list)
    for _ in range(repeats * ROUNDS):
        for name, env in variants.items():
            pairs = arguments[2] // (10 if name == "heaptrack" else 1)
            ((ns,),) = run("alloc_pairs", *arguments[:2], pairs, arguments[3], env=env)
            times[name].append(float(ns))
        remove_spools()

    def ratio(name):
        return statistics.median(a / b for a, b in zip(times[name], times["plain"]))

    above = statistics.median(a - b for a, b in zip(times["ours"], times["forwarding"]))
    row(
        what, goal, f"{ratio('ours'):.2f} x glibc, forwarding + {above:.1f} ns",
        ", ".join(f"{name} {ratio(name):.2f}" for name in variants if name not in ("plain", "ours")),
        f"median of {len(times['plain'])}, {statistics.median(times['plain']):.1f} ns without",
    )  # fmt: skip


def instructions(command, env):
    """What valgrind counts; None: it cannot be had."""
    settings = [f"{name}={value}" for name, value in env.items()]
    result = subprocess.run(
        ["env", "-i", f"PATH={os.environ['PATH']}", "PYTHONMALLOC=malloc", "PYTHONHASHSEED=0",
         *settings, "valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *command],
        text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False,
    )  # fmt: skip
    remove_spools()
    found = re.search(r"Collected : (\d+)", result.stderr)
    return int(found[1]) if result.returncode == 0 and found else None


def measure_instructions():
    command = [f"{PROGRAMS}/alloc_pairs", "pair", "1", "1000000", "0"]
    plain, forward, ours_ = (instructions(command, e) for e in ({}, FORWARD, our_heap()))
    if not plain:
        row("instructions of a pair", "17 more than forwarding", "-", "-", "no valgrind here")
        return
    row(
        "instructions of a pair", "17 more than forwarding",
        f"{(ours_ - forward) / 1050000:.1f} more", f"forwarding {(forward - plain) / 1050000:.1f}",
        f"callgrind; {plain / 1050000:.0f} in all",
    )  # fmt: skip


def heap_programs():
    """Commands that allocate a lot, for as many as are installed."""
    with open(f"{WORK}/rows.json", "w", encoding="ascii") as file:
        numbers = ",".join(str(n) for n in range(10))
        items = (f'{{"id":{n},"name":"item {n}","list":[{numbers}]}}' for n in range(6000))
        file.write("[" + ",".join(items) + "]")
    with open(f"{WORK}/rows.sql", "w", encoding="ascii") as file:
        file.write(
            "create table t(a integer, b text); with recursive n(i) as (select 1 union all select "
            "i+1 from n where i<20000) insert into t select i, 'row ' || i from n; "
            "select count(*), sum(length(b)) from t where b like '%9%' group by a % 100;"
        )
    with open(f"{WORK}/unit.cc", "w", encoding="ascii") as file:
        file.write("#include <map>\n#include <string>\nstd::map<std::string, int> m;\n")
    subprocess.run(["c++", "-E", f"{WORK}/unit.cc", "-o", f"{WORK}/unit.ii"], check=False)
    cc1plus = subprocess.run(
        ["c++", "-print-prog-name=cc1plus"], text=True, stdout=subprocess.PIPE, check=False
    ).stdout.strip()
    python = "import json; json.dumps(json.load(open('%s')))" % f"{WORK}/rows.json"
    perl = 'my %h; $h{$_ % 9973} .= "x$_" for 1..60000; print scalar(keys %h)'
    programs = {
        "sqlite": ["sqlite3", ":memory:", f".read {WORK}/rows.sql"],
        "python json": ["/usr/bin/python3", "-c", python],
        "perl": ["perl", "-e", perl],
        "jq": ["jq", "-c", "map(.list|add)|add", f"{WORK}/rows.json"],
        "cc1plus": [cc1plus, "-quiet", "-fpreprocessed", "-O1", f"{WORK}/unit.ii", "-o", "/dev/null"],
    }
    return {name: command for name, command in programs.items() if shutil.which(command[0])}


def measure_heap_programs():
    for name, command in heap_programs().items():
        plain = instructions(command, {})
        if not plain:
            continue
        counts = {who: instructions(command, env) for who, env in heap_peers().items()}
        added = {
            who: 100 * (count / plain - 1) for who, count in counts.items()
            if count and count > 1.01 * plain and who[0] != "j"
        }
        if counts.get("jemalloc") and counts.get("jemalloc's profiler"):
            added["jemalloc's profiler, over jemalloc"] = 100 * (
                counts["jemalloc's profiler"] / counts["jemalloc"] - 1
            )
        ours_ = 100 * (instructions(command, our_heap()) / plain - 1)
        every = 100 * (instructions(command, our_heap(1)) / plain - 1)
        row(
            f"instructions added to {name}", "2.0 %" if name == "python json" else "1.2 %",
            f"{ours_:.2f} %", ", ".join(f"{who} {more:.1f} %" for who, more in added.items()) or "-",
            f"callgrind, {plain / 1e6:.0f} million; every allocation recorded: {every:.0f} %",
        )  # fmt: skip


def measure_every_allocation():
    """CPU time that recording every allocation adds, beside heaptrack's library alone: what it
    writes goes to /dev/null, without its interpreter."""
    heaptrack = heap_peers().get("heaptrack")
    if not heaptrack:
        row("every allocation recorded", "0.5 x heaptrack", "-", "-", "no heaptrack here")
        return
    for name, command in heap_programs().items():
        command = [shutil.which(command[0]), *command[1:]]
        python = {"PYTHONMALLOC": "malloc", "PYTHONHASHSEED": "0"}
        variants = [joined({**python, **env}) for env in ({}, heaptrack, our_heap(1))]
        lines = run("paired", 9 * ROUNDS, *variants, "--", *command)
        times = [[int(word) / 1e6 for word in words[1::2]] for words in lines[-9 * ROUNDS :]]
        remove_spools()
        plain = statistics.median(time[0] for time in times)
        peer = statistics.median(time[1] - time[0] for time in times)
        added = statistics.median(time[2] - time[0] for time in times)
        row(
            f"every allocation of {name} recorded", "0.5 x heaptrack", f"{added / peer:.2f} x",
            f"heaptrack +{peer:.0f} ms",
            f"CPU time, median of {len(times)}: {plain:.0f} ms, with us +{added:.0f} ms",
        )  # fmt: skip


def measure_heap():
    measure_pairs("malloc and free, 1 thread", "1.15 x", 9, ("pair", 1, 4000000, 0))
    measure_pairs("malloc and free, 2 threads", "1.15 x", 9, ("pair", 2, 3000000, 0))
    measure_pairs("one of 4096 live blocks, 2 threads", "1.08 x", 9, ("window", 2, 2000000, 0))
    cost = []
    for _ in range(7 * ROUNDS):
        ((plain,),) = run("alloc_pairs", "pair", 1, 300000, 28)
        ((every,),) = run("alloc_pairs", "pair", 1, 300000, 28, env=our_heap(1))
        cost.append(float(every) - float(plain))
        remove_spools()
    row(
        "a sampled allocation with its free", "600 ns", f"{statistics.median(cost):.0f} ns", "-",
        "34 frames, with heap=1",
    )  # fmt: skip
    measure_instructions()
    measure_every_allocation()
    measure_heap_programs()


# --- plugins that come and go ---


def measure_dl():
    dl_rows.measure(row, run, ours, WORK, SPOOLS, ROUNDS)


# --- other people's programs ---


def measure_hosts():
    env = ours(99)
    env["PLUGPROF"] = env["PLUGPROF"].replace("heap=off", "heap=512k")
    peer = gperftools(99) if GPERFTOOLS else None
    host_rows.measure(row, run, env, peer, WORK, SPOOLS, ROUNDS)


# --- the table ---


def print_table():
    head = ("what", "goal", "ours", "peers", "note")
    widths = [max(len(line[i]) for line in [head, *rows]) for i in range(3)]
    loads = " ".join(f"{load:.1f}" for load in os.getloadavg())
    print(f"load {loads} on {os.cpu_count()} processors")
    print(" | ".join(text.ljust(width) for text, width in zip(head, widths)) + " | peers; note")
    for line in rows:
        first = " | ".join(text.ljust(width) for text, width in zip(line, widths))
        print(f"{first} | {line[3]}")
        if line[4]:
            print(" " * (sum(widths) + 6) + f" | ({line[4]})")


def main():
    every = "unwind thread overhead heap dl start process memory hosts"
    wanted = os.environ.get("BENCH_ROWS", every).split()
    try:
        for name in wanted:
            globals()[f"measure_{name}"]()
    finally:
        shutil.rmtree(WORK)
        shutil.rmtree(SPOOLS)
    print_table()


main()
