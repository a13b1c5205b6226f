"""Does a profile agree with the log of alloc_oracle.c?

    alloc_oracle.py LOG OBJECTS BYTES LIVE_OBJECTS LIVE_BYTES

The four are the profile's sums.  What is allocated before the agent's constructor has run, and
behind its destructor, is in the log only: a first and a last part, of EDGE events at most, are left
out.  Prints how long they are.
"""

import array
import sys

EDGE = 64


def sums(events, start, end):
    """Of the events from START to END: objects, bytes, and those in use at the end."""
    objects = size_sum = 0
    live = {}
    for freed, allocated, size in events[start:end]:
        if freed:
            live.pop(freed, None)
        if allocated:
            live[allocated] = size
            objects += 1
            size_sum += size
    return objects, size_sum, len(live), sum(live.values())


def main():
    words = array.array("Q")
    with open(sys.argv[1], "rb") as log:
        words.frombytes(log.read())
    events = list(zip(words[0::3], words[1::3], words[2::3]))
    told = tuple(map(int, sys.argv[2:6]))
    counts = [0]  # of objects, before each event
    size_sums = [0]
    for _, allocated, size in events:
        counts.append(counts[-1] + (allocated != 0))
        size_sums.append(size_sums[-1] + (size if allocated else 0))
    for start in range(min(EDGE, len(events))):
        for end in range(len(events), max(start, len(events) - EDGE), -1):
            if (counts[end] - counts[start], size_sums[end] - size_sums[start]) != told[:2]:
                continue
            if sums(events, start, end) == told:
                print(f"all but the first {start} and the last {len(events) - end} events")
                return 0
    whole = sums(events, 0, len(events))
    print(f"told {told}, and of {len(events)} events there are {whole}")
    return 1


sys.exit(main())
