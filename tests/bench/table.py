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
    settings = f"freq={freq},spool={SPOOLS},file={WORK}/%p.pb.gz"
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
    wanted = os.environ.get("BENCH_ROWS", "unwind thread overhead start memory").split()
    try:
        for name in wanted:
            globals()[f"measure_{name}"]()
    finally:
        shutil.rmtree(WORK)
        shutil.rmtree(SPOOLS)
    print_table()


main()
