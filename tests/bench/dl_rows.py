"""Rows about plugins that come and go: dlopen, dlsym and dlclose with us and without."""

import glob
import os
import shutil
import statistics
import subprocess

from statistics_of_pairs import with_interval

SMALL = "int plugin_run(void) { return 1; }\n"
# 1 MiB of the plugin's own, of which each build has other contents.
LARGE = "const char block[1 << 20] = {{ {0} }};\nint plugin_run(void) {{ return block[{0}]; }}\n"
# About 1 MiB of .eh_frame: 36,000 functions.
UNWIND = """int plugin_run(void) {{ return {0}; }}
__asm__(".text\\n.rept 36000\\n.cfi_startproc\\nnop\\n.cfi_def_cfa_offset 16\\nnop\\n"
        ".cfi_endproc\\n.endr\\n");
"""
BUILDS = 8


def compile_library(path, source):
    with open(path + ".c", "w", encoding="utf-8") as file:
        file.write(source)
    subprocess.run(
        [*os.environ.get("CC", "cc").split(), "-O1", "-shared", "-fPIC", "-Wl,--build-id",
         "-o", path, path + ".c"], check=True,
    )  # fmt: skip
    return path


def measure(row, run, ours, work, spools, rounds):
    """ROW, RUN, OURS are table.py's; WORK and SPOOLS its folders."""

    def agent(extra="", fresh_store=False):
        if fresh_store:
            shutil.rmtree(f"{work}/store", ignore_errors=True)
        env = ours(1)
        env["PLUGPROF"] += extra
        env["PLUGPROF_SYMBOLS"] = f"{work}/store"
        return env

    def forget_spools():
        for spool in glob.glob(f"{spools}/*.spool"):
            os.unlink(spool)

    def middle_of(lines):
        return statistics.median(int(words[0]) for words in lines)

    def cycles(library, title, count):
        run("dl_cycles", 100, "plugin_run", library, env=agent())  # keeps it
        ratios, plain = [], []
        for turn in range(count):
            pair = {}
            for which in ((0, 1) if turn % 2 else (1, 0)):
                env = agent() if which else None
                pair[which] = middle_of(run("dl_cycles", 500, "plugin_run", library, env=env))
            ratios.append((pair[1] / pair[0] - 1) * 100)
            plain.append(pair[0])
            forget_spools()
        row(
            f"dlopen+dlsym+dlclose, {title}, kept", "5 % more", with_interval(ratios, "%"), "-",
            f"{count} pairs of 500 cycles, {statistics.median(plain) / 1000:.0f} us without; where "
            "mappings come to lie makes it 3 % more or less",
        )  # fmt: skip

    small = compile_library(f"{work}/small.so", SMALL)
    large = [compile_library(f"{work}/large{n}.so", LARGE.format(n + 1)) for n in range(BUILDS)]
    unwind = [compile_library(f"{work}/unwind{n}.so", UNWIND.format(n)) for n in range(BUILDS)]
    cycles(small, "smallest plugin", 40 * rounds)
    cycles(large[0], "1 MB plugin", 20 * rounds)

    def first_loads(libraries, extra):
        added = []
        for _ in range(8 * rounds):
            plain = run("dl_cycles", 1, "plugin_run", *libraries)
            with_us = run(
                "dl_cycles", 1, "plugin_run", *libraries, env=agent(extra, fresh_store=True)
            )
            added += [(int(b[0]) - int(a[0])) / 1e6 for a, b in zip(plain, with_us)]
            forget_spools()
        return added

    row(
        "a new build of 1 MB: dlopen and dlsym", "1 ms more",
        with_interval(first_loads(large, ""), "ms"), "-", "kept by a copy; CPU time of the thread",
    )  # fmt: skip
    row(
        "registering 1 MB of .eh_frame", "0.5 ms",
        with_interval(first_loads(unwind, ",keep=never"), "ms"), "-", "its file is not kept",
    )  # fmt: skip

    lines = run("dl_cycles", 10000, "plugin_run", small, env=agent())
    journal = dict(run("spool_cost", *glob.glob(f"{spools}/*.spool")))["journal"]
    forget_spools()
    run("dl_cycles", 50, "plugin_run", small, env=agent())
    first_journal = dict(run("spool_cost", *glob.glob(f"{spools}/*.spool")))["journal"]
    forget_spools()
    early, late = middle_of(lines[2:22]), middle_of(lines[-20:])
    row(
        "10,000 generations of one build", "no growth",
        f"journal {int(journal) - int(first_journal):+d} bytes", "-",
        f"against 50 generations; a cycle takes {late / early:.2f} of what it took at the start",
    )  # fmt: skip
