"""Our answers beside those of llvm-symbolizer: how many frames, and the file and line of each.

    compare_llvm.py PLUGPROF LLVM-SYMBOLIZER LIBRARY COUNT

COUNT random addresses of functions with debug information.  Status 1 when more than 1 in 10,000
addresses (and more than 2) are different without a reason that is known: see README.md.
"""

import collections
import json
import os
import random
import subprocess
import sys

tool, llvm, library = sys.argv[1:4]
count = int(sys.argv[4])


def output_of(*command, text=None):
    return subprocess.run(command, input=text, capture_output=True, text=True).stdout


segments = []
for line in output_of("readelf", "-lW", library).splitlines():
    if line.split()[:1] == ["LOAD"] and "E" in line[60:90]:
        fields = line.split()
        segments.append((int(fields[2], 16), int(fields[5], 16)))
random.seed(3)
chosen = random.choices(segments, [size for _, size in segments], k=count)
addresses = [start + random.randrange(size) for start, size in chosen]
text = "".join(f"{address:#x}\n" for address in addresses)
ours = output_of(tool, "symbolize", "--format=json", "--symbols=/none", "-e", library, text=text)
theirs = output_of(llvm, f"--obj={library}", "--output-style=JSON", "--no-demangle", text=text)


def places_of(frames, file, line):
    return [(os.path.normpath(f[file] or "?"), f[line]) for f in frames]


def same_tail(a, b):
    """The same file, but for a relative folder that was put before it, or was not."""
    a, b = (path.lstrip("./") for path in (a, b))
    return a == b or a.endswith("/" + b) or b.endswith("/" + a)


def reason(mine, his):
    """Why MINE and HIS differ, as far as that is a known difference of llvm-symbolizer's."""
    if not mine:
        return "files of .symtab's" if all(line == 0 for _, line in his) else None
    if not his:
        return "lines by other tables than DWARF"
    if len(mine) == len(his) and all(
        a[1] == b[1] and same_tail(a[0], b[0]) for a, b in zip(mine, his)
    ):
        return "relative folders"
    if [file for file, _ in mine] == [file for file, _ in his] and mine[1:] == his[1:]:
        if his[0][1] == 0 or mine[0][1] == 0:
            return "line 0"
    return None


compared = 0
unexplained = []
reasons = collections.Counter()
for address, mine, his in zip(addresses, ours.splitlines(), theirs.splitlines()):
    frames = json.loads(mine)["frames"]
    symbols = json.loads(his).get("Symbol", [])
    a = places_of([f for f in frames if f["file"]], "file", "line")
    b = places_of([f for f in symbols if f["FileName"]], "FileName", "Line")
    compared += bool(a or b)
    if a == b:
        continue
    why = reason(a, b)
    if why:
        reasons[why] += 1
        continue
    unexplained.append(address)
    if len(unexplained) <= 4:
        print(f"  {address:#x}: ours {a}\n  {' ' * len(hex(address))}  llvm {b}")
known = ", ".join(f"{n} {why}" for why, n in reasons.items())
print(
    f"{library}: {count} addresses, {compared} with lines, {len(unexplained)} unlike llvm-symbolizer's"
    f"{' (and ' + known + ')' if known else ''}"
)
lines = len(ours.splitlines())
sys.exit(lines != count or len(theirs.splitlines()) != count or len(unexplained) > max(2, count / 10000))
