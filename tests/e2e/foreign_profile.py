"""A profile with every field that there is, in which LIBRARY has no names and what else there is has:
for symbolize_keeps_what_it_does_not_name.sh.  Numbers of LIBRARY are hexadecimal."""
import sys

library, dct, offset, vaddr = sys.argv[1], *(int(x, 16) for x in sys.argv[2:])
texts = [""]


def text(s):
    if s not in texts:
        texts.append(s)
    return texts.index(s)


def varint(n):
    n &= (1 << 64) - 1
    return bytes([n]) if n < 128 else bytes([n & 127 | 128]) + varint(n >> 7)


def part(field, value):
    if isinstance(value, int):
        return varint(field << 3) + varint(value)
    return varint(field << 3 | 2) + varint(len(value)) + value


def record(*parts):
    return b"".join(part(field, value) for field, value in parts)


base = 0x7F0000000000
page = vaddr & ~4095
at = base + dct + 4
out = record(
    (1, record((1, text("jobs")), (2, text("count")))),
    (1, record((1, text("energy")), (2, text("joules")))),
    # Not in the order of anything; stacks that only a label tells apart.
    (2, record((1, 2), (1, 1), (2, 7), (2, -70), (3, record((1, text("tenant")), (2, text("blue")))),
               (3, record((1, text("bytes")), (3, 4096), (4, text("bytes")))))),
    (2, record((1, 1), (2, 1), (2, 10))),
    (2, record((1, 2), (1, 1), (2, 5), (2, 50), (3, record((1, text("tenant")), (2, text("red")))))),
    (3, record((1, 1), (2, 0x400000), (3, 0x401000), (4, 0x1000), (5, text("/opt/host")),
               (6, text("abcd")), (7, 1), (8, 1), (9, 1), (10, 1))),
    (3, record((1, 2), (2, base + page), (3, base + page + 0x10000), (4, offset & ~4095),
               (5, text(library)))),
    # What is named has a name that no symbol has, and an inlined function.
    (4, record((1, 1), (2, 1), (3, 0x400010), (4, record((1, 1), (2, 12), (3, 3))),
               (4, record((1, 2), (2, 99))))),
    (4, record((1, 2), (2, 2), (3, at))),
    (5, record((1, 1), (2, text("named::before")), (3, text("_ZN5named6beforeEv")), (4, text("/src/x.cc")),
               (5, 10))),
    (5, record((1, 2), (2, text("its caller")), (3, text("its caller")), (4, text("/src/y.cc")), (5, 90))),
    (7, text("^drop_me$")), (8, text("^keep_me$")),
    (9, 1700000000123456789), (10, 2500000000),
    (11, record((1, text("energy")), (2, text("joules")))), (12, 31),
    (13, text("a comment")), (13, text("and another")),
    (14, text("jobs")), (15, text("https://example.org/doc")))
sys.stdout.buffer.write(out + b"".join(part(6, t.encode()) for t in texts))
