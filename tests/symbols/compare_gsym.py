"""What llvm-gsymutil reads from our GSYM export, against our own answers.

    compare_gsym.py PLUGPROF GSYMUTIL LIBRARY GSYM COUNT

Functions, inlined ones too, files and lines at COUNT random addresses of the code.  Prints what was
compared; status 1 when an address differs, or hardly any has a name.
"""

import json
import os
import random
import re
import subprocess
import sys

tool, gsymutil, library, gsym = sys.argv[1:5]
count = int(sys.argv[5])


def output_of(*command, text=None):
    result = subprocess.run(command, input=text, capture_output=True, text=True)
    return result.stdout


segments = []
for line in output_of("readelf", "-lW", library).splitlines():
    if line.split()[:1] == ["LOAD"] and "E" in line[60:90]:
        fields = line.split()
        segments.append((int(fields[2], 16), int(fields[5], 16)))
random.seed(1)
chosen = random.choices(segments, [size for _, size in segments], k=count)
addresses = [start + random.randrange(size) for start, size in chosen]

text = "\n".join(map(hex, addresses))
ours = output_of(
    tool, "symbolize", "--format=json", "--symbols=/none", "-e", library, text=text
).splitlines()
text = "".join(f"{address:#x} {gsym}\n" for address in addresses)
blocks = output_of(gsymutil, "--addresses-from-stdin", text=text).rstrip("\n").split("\n\n")
FRAME = re.compile(r"(?:0x[0-9a-f]+:)? +(.*?)(?: \+ \d+)?(?: @ (.*):(\d+))?(?: \[inlined\])?$")


def frames_of(block):
    if ": error: address" in block:
        return []
    return [FRAME.match(line).groups() for line in block.splitlines()]


def same(frame, theirs, has_lines):
    name, file, line = theirs
    if name not in (frame["function"], frame["linkage_name"]):
        return False
    if not has_lines:
        return file is None
    return (frame["file"] or "??", frame["line"]) == (file, int(line or 0))


named = different = 0
for address, mine, block in zip(addresses, ours, blocks):
    answer = json.loads(mine)
    frames = answer["frames"] if answer["resolved"] else []
    theirs = frames_of(block)
    has_lines = any(file for _, file, _ in theirs)
    if theirs and not has_lines and any(f["file"] for f in frames):
        different += 1
        print(f"{address:#x}: no lines in {block}, ours {frames}")
    elif len(frames) != len(theirs) or not all(
        same(f, t, has_lines) for f, t in zip(frames, theirs)
    ):
        different += 1
        if different < 5:
            print(f"{address:#x}: ours {frames}\n{block}")
    named += bool(theirs)
print(f"{library}: {len(blocks)} addresses, {named} named, {different} differences")
size = os.path.getsize(gsym)
sys.exit(different > 0 or len(ours) != count or len(blocks) != count or named < count / 4 or size == 0)
