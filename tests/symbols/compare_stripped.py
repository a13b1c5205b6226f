"""What a stripped file's addresses are called, against the file with all it had.

    compare_stripped.py PLUGPROF WHOLE STRIPPED [--all]

Prints what was compared.  Status 1 when a name is wrong: it is that of no symbol around the address.
With --all also when an address has no name, or when inlined functions or lines are others.
"""

import bisect
import json
import random
import subprocess
import sys

COUNT = 5000
tool, whole, stripped = sys.argv[1:4]
must_have_all = "--all" in sys.argv


def lines_of(*command, text=None):
    result = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    return result.stdout.splitlines()


symbols = []  # start, end, name
for line in lines_of("nm", "-S", "--defined-only", whole):
    fields = line.split(None, 3)
    if len(fields) == 4 and fields[2] in "tTwWi" and int(fields[1], 16) > 0:
        start = int(fields[0], 16)
        symbols.append((start, start + int(fields[1], 16), fields[3].split("@")[0]))
symbols.sort()
starts = [start for start, _, _ in symbols]


def names_around(address):
    last = bisect.bisect_right(starts, address)
    return {name for start, end, name in symbols[max(0, last - 200):last] if address < end}


random.seed(1)
chosen = random.choices(symbols, [end - start for start, end, _ in symbols], k=COUNT)
addresses = [random.randrange(start, end) for start, end, _ in chosen]
text = "\n".join(map(hex, addresses))
command = (tool, "symbolize", "--format=json", "--symbols=/none", "--obj")
answers = [json.loads(line) for line in lines_of(*command, stripped, text=text)]
truths = [json.loads(line) for line in lines_of(*command, whole, text=text)]

named = wrong = other = 0
for address, answer, truth in zip(addresses, answers, truths):
    if not answer["resolved"]:
        continue
    named += 1
    outermost = answer["frames"][-1]
    if not names_around(address) & {outermost["linkage_name"], outermost["function"]} and (
        outermost["function"] != truth["frames"][-1]["function"]
    ):
        wrong += 1
        print(f"{address:#x} is no {outermost['linkage_name']}: {names_around(address)}")
    mine = [(f["function"], f["file"], f["line"]) for f in answer["frames"]]
    his = [(f["function"], f["file"], f["line"]) for f in truth["frames"]]
    if mine != his and all(f["line"] for f in truth["frames"]) and answer["frames"][0]["line"]:
        other += 1
        if must_have_all and other < 5:
            print(f"{address:#x}: {mine}, with DWARF {his}")
print(f"{stripped}: {len(answers)} addresses, {named} named, {wrong} wrong, {other} other lines")
bad = wrong > 0 or len(answers) != COUNT
if must_have_all:
    bad = bad or named < COUNT * 0.999 or other > 0
sys.exit(bad)
