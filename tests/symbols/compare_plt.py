"""What the stubs of a library's PLT are called, against objdump and readelf.

    compare_plt.py PLUGPROF LIBRARY

Every instruction that jumps through a slot of the GOT must be called after the slot's symbol, and no
address of a PLT after anything else than a symbol's stub or the PLT itself.  Prints the counts; status 1
when a name is wrong.
"""

import json
import re
import subprocess
import sys

tool, library = sys.argv[1:3]


def lines_of(*command, text=None):
    return subprocess.run(
        command, input=text, capture_output=True, text=True, check=True
    ).stdout.splitlines()


slots = {}
for line in lines_of("readelf", "-rW", library):
    fields = line.split()
    if len(fields) >= 5 and fields[2] in ("R_X86_64_JUMP_SLOT", "R_X86_64_GLOB_DAT"):
        slots[int(fields[0], 16)] = fields[4].split("@")[0]

sections = []
for line in lines_of("readelf", "-SW", library):
    match = re.match(r" +\[ *\d+\] (\.plt\S*) +PROGBITS +(\w+) \w+ (\w+)", line)
    if match:
        sections.append((match[1], int(match[2], 16), int(match[3], 16)))

truth = {}  # address of each instruction that jumps: the stub's name
for name, _, _ in sections:
    for line in lines_of("objdump", "-d", "-j", name, library):
        match = re.match(r" +([0-9a-f]+):.*jmp +\*.*\(%rip\) +# ([0-9a-f]+)", line)
        if match and int(match[2], 16) in slots:
            truth[int(match[1], 16)] = slots[int(match[2], 16)] + "@plt"

addresses = [a for _, start, size in sections for a in range(start, start + size)]
text = "\n".join(map(hex, addresses))
command = (tool, "symbolize", "--format=json", "--symbols=/none", "-e", library)
names = {
    int(answer["address"], 16): answer["frames"][0]["function"]
    for answer in map(json.loads, lines_of(*command, text=text))
}
wrong = [a for a in truth if names[a] != truth[a]]
known = set(truth.values()) | {"[plt]"}
wrong += [a for a in addresses if names[a] not in known]
for address in wrong[:5]:
    print(f"{address:#x}: {names[address]}, it is {truth.get(address)}")
print(f"{len(truth)} stubs in {' '.join(name for name, _, _ in sections)}, {len(wrong)} wrong")
sys.exit(bool(wrong) or not truth)
