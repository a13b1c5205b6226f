"""The table of every_cause_of_lost_names_is_met.sh: a row for each cause, with a profile as the tools in
question write it and what must become of its frames.  9 (two builds without build-ID at one path) and
16 (generated code) are for the recorder: plugins_keep_their_names.sh."""
import os, re, shutil, subprocess, sys

work, tool, go, samples = sys.argv[1:]
lib = work + "/lib/"
BIAS = 0x7F0000000000
failures = 0


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, errors="replace", **options)


# --- ELF ---

def build_id(path):
    return re.search(r"Build ID: (\w+)", run("readelf", "-n", path).stdout).group(1)


def code(path):
    """(offset, vaddr, size) of the executable segment"""
    row = re.search(r"LOAD +(\w+) (\w+) \w+ (\w+) \w+ R E", run("readelf", "-lW", path).stdout)
    return tuple(int(x, 16) for x in row.groups())


def symbols(path):
    rows = re.findall(r"^(\w+) (?:(\w+) )?[tT] (\S+)$", run("nm", "-S", path).stdout, re.M)
    return {name: (int(at, 16), int(size or "0", 16)) for at, size, name in rows}


# --- profile.proto, by hand ---

def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def number(field, n):
    return varint(field << 3) + varint(n) if n else b""


def message(field, body):
    return varint(field << 3 | 2) + varint(len(body)) + body


class Profile:
    def __init__(self):
        self.texts, self.body, self.locations = [""], b"", 0
        self.mappings = 0
        self.body += message(1, number(1, self.text("samples")) + number(2, self.text("count")))
        self.body += number(9, 1700000000000000000)

    def text(self, text):
        if text not in self.texts:
            self.texts.append(text)
        return self.texts.index(text)

    def mapping(self, start, limit, offset, path, identity=""):
        self.mappings += 1
        self.body += message(3, number(1, self.mappings) + number(2, start) + number(3, limit) +
                             number(4, offset) + number(5, self.text(path)) +
                             number(6, self.text(identity)))
        return self.mappings

    def sample(self, mapping, address, value=1):
        self.locations += 1
        self.body += message(4, number(1, self.locations) + number(2, mapping) + number(3, address))
        self.body += message(2, number(1, self.locations) + number(2, value))

    def library(self, elf, path=None, identity=None, bias=BIAS, whole=False):
        """ELF as it was mapped, at PATH.  A function from vaddr to sample."""
        offset, vaddr, size = code(elf)
        start, page_offset = bias + (vaddr & ~4095), offset & ~4095
        limit = bias + ((vaddr + size + 4095) & ~4095)
        if whole:
            start, page_offset, limit = bias, 0, limit + 0x4000
        m = self.mapping(start, limit, page_offset, path or elf,
                         build_id(elf) if identity is None else identity)
        return lambda at: self.sample(m, bias + at)

    def write(self, path):
        strings = b"".join(message(6, text.encode()) for text in self.texts)
        with open(path, "wb") as file:
            file.write(self.body + strings)


# --- the judgement ---

def judge(row, profile, wanted, unwanted=(), options=(), said=""):
    """WANTED: regular expressions for lines of pprof -top (and names); UNWANTED: for none."""
    global failures
    raw, named = f"{work}/row{row.split()[0]}.pb", f"{work}/row{row.split()[0]}.named.pb.gz"
    profile.write(raw)
    done = run(tool, "symbolize", *options, "-o", named, raw)
    shown = run(go, "tool", "pprof", "-top", named)
    rows = shown.stdout.splitlines()
    first = [i for i, line in enumerate(rows) if re.match(" +flat +flat%", line)][0] + 1
    names = [re.sub(r"^ *(\S+ +){5}", "", line) for line in rows[first:]]
    wrong = [f"no {w}" for w in wanted if not any(re.fullmatch(w, name) for name in names)]
    wrong += [f"{name}, which is wrong" for name in names for u in unwanted if re.search(u, name)]
    wrong += [f"{name}: pprof has no name" for name in names if re.fullmatch(r"\[.*\]|<unknown>", name)
              and name not in ("[anon-rx]", "[plt]")]
    if done.returncode or shown.returncode or shown.stderr.strip():
        wrong.append(f"status {done.returncode}, {shown.returncode}: {done.stderr}{shown.stderr}")
    if not re.search(said, done.stderr):
        wrong.append(f"it does not say {said}: {done.stderr}")
    print(f"{'FAIL' if wrong else 'ok':5}{row}: {', '.join(names)}")
    for w in wrong:
        print(f"        {w}")
    failures += bool(wrong)


def at(path, name, into=4):
    return symbols(path)[name][0] + into


plain, rebuilt, stripped = lib + "plain.so", lib + "rebuilt.so", lib + "stripped.so"
ID, OTHER = build_id(plain), build_id(rebuilt)


def two(elf=plain, **how):
    """An exported function and a static one."""
    p = Profile()
    add = p.library(elf, **how)
    for name in ("plugin_outer", "hidden"):
        add(at(plain if elf == stripped else elf, name))
    return p


def place(path, contents):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    shutil.copy(contents, path)


BOTH = ["plugin_outer", "hidden"]
ADDRESS = [r".*\.so!0x[0-9a-f]+"]
WRONG = ["plugin_moved"]
debug = work + "/debug"
by_id = f"{debug}/.build-id/{ID[:2]}/{ID[2:]}.debug"

p = two()
add = p.library(plain, path=plain, bias=BIAS + (1 << 32))
start, size = symbols(plain)["plugin_inlined"]
for offset in range(size):
    add(start + offset)
judge("1 unstripped, where it was", p, BOTH + [r"innermost \(inline\)", r"middle \(inline\)", "plugin_inlined"])

judge("2 stripped", two(stripped), ["plugin_outer", r"stripped\.so!fn_[0-9a-f]+"], ["hidden"])

place(by_id, plain)
judge("3 a store with the whole file", two(stripped), BOTH, options=["--symbols", debug])
run("objcopy", "--only-keep-debug", plain, by_id)
judge("4 a store with a debug file", two(stripped), BOTH, options=["--symbols", debug])

judge("5 the file was replaced", two(path=rebuilt), ADDRESS, BOTH + WRONG,
      said=f"build-ID {OTHER} instead of {ID}")

judge("5b by words that tell no build", two(path=plain, identity="of/monday"), ADDRESS, BOTH,
      said="not known to be of build of/monday")

# Some tools write Go's own build-ID where there is a GNU one, too.
if os.path.exists(lib + "go.so"):
    text = run(go, "tool", "buildid", lib + "go.so").stdout.strip()
    for what, identity, names in (("Go's", text, True), ("Go's in hexadecimal", text.encode().hex(), True),
                                  ("another of Go's", "x" + text[1:], False)):
        p = Profile()
        add = p.library(lib + "go.so", bias=BIAS + (1 << 32), identity=identity)
        start, size = symbols(lib + "go.so")["runtime.mallocgc"]
        add(start + 1)
        judge(f"5c {what}", p, [r"runtime\.mallocgc"] if names else [r"go\.so!0x[0-9a-f]+"],
              [] if names else [r"runtime\.mallocgc"])

# Without build-ID only a recording can tell: the builds differ in their contents.
done = run(tool, "symbolize", "--strict", "-o", work + "/row6.named.pb.gz", work + "/replaced.pb.gz")
shown = run(go, "tool", "pprof", "-top", work + "/row6.named.pb.gz").stdout
good = done.returncode == 3 and "other contents than the process ran" in done.stderr and \
    re.search(r" replaced\.so!0x", shown) and "nofp" not in shown
print(f"{'ok' if good else 'FAIL':5}6 replaced, no build-ID: {done.stderr.splitlines()[:1]}")
failures += not good

p = two(path=plain + " (deleted)")
judge("7 the path says (deleted)", p, BOTH, [r"deleted"])
p = two(lib + "no_id.so", path=plain + " (deleted)", identity="")
judge("7b and there is no build-ID", p, [r"plain\.so \(deleted\)!0x[0-9a-f]+"], BOTH)

store = work + "/maps"
for elf in (plain, rebuilt):
    run(tool, "map", "-q", "-o", store, elf)
p = two(path=work + "/gone.so")
add = p.library(rebuilt, path=work + "/gone.so", bias=BIAS + (1 << 32))
add(at(rebuilt, "plugin_moved"))
judge("8 two builds at one path", p, BOTH + ["plugin_moved"], options=["--symbols", store])

p = two(path=work + "/gone.so")
add = p.library(rebuilt, path=work + "/gone.so")
add(at(rebuilt, "plugin_moved"))
judge("10 two builds at the same addresses", p, BOTH + ["plugin_moved"], options=["--symbols", store])

judge("11 one mapping from the base", two(whole=True), BOTH)
lld = lib + "lld.so"
if os.path.exists(lld):
    judge("12 code that starts in the middle of a page (lld)", two(lld), BOTH)
    judge("12b and one mapping from the base", two(lld, whole=True), BOTH)

judge("13 a path of another file system", two(path="/overlay/merged/plugin.so"), BOTH,
      options=["--symbols", debug])
judge("13b and nothing of it here", two(path="/overlay/merged/plugin.so"), ADDRESS, BOTH)

p = Profile()
add = p.library(plain)
for section in re.findall(r" \.plt(?:\.sec|\.got)? +PROGBITS +(\w+) \w+ (\w+)",
                          run("readelf", "-SW", plain).stdout):
    for stub in range(0, int(section[1], 16), 8):
        add(int(section[0], 16) + stub)
judge("14 a PLT stub", p, ["strlen@plt", "malloc@plt"], ["_init"])

p = two()
for i, path in enumerate(["[heap]", "//anon", "/memfd:jit (deleted)", "[vsyscall]"]):
    p.sample(p.mapping(0x1000000 * (i + 1), 0x1000000 * (i + 1) + 0x1000, 0, path), 0x1000000 * (i + 1) + 8)
judge("15 memory without a file", p, BOTH + [r"\[anon-rx\]", r".*heap.*0x8"], [])

# A legacy heap: pprof joins a nameless mapping to the library before it.
offset, vaddr, size = code(plain)
start, limit = BIAS + (vaddr & ~4095), BIAS + ((vaddr + size + 4095) & ~4095)
with open(work + "/legacy", "w") as file:
    file.write("heap profile: 2: 2000 [2: 2000] @ heapprofile\n")
    file.write(f" 1: 1000 [1: 1000] @ {BIAS + at(plain, 'hidden') + 1:#x}\n")
    file.write(f" 1: 1000 [1: 1000] @ {limit + 0x11:#x}\n\nMAPPED_LIBRARIES:\n")
    file.write(f"{start:x}-{limit:x} r-xp {offset & ~4095:08x} fe:00 1 {plain}\n")
    file.write(f"{limit:x}-{limit + 0x1000:x} r-xp {(offset & ~4095) + limit - start:08x} 00:00 0 \n")


class Legacy:
    def write(self, path):
        shutil.copy(work + "/legacy", path)


judge("17 generated code behind a library", Legacy(), ["hidden", r"\[anon-rx\]"])

shown = run(go, "tool", "pprof", "-raw", work + "/recorded.pb.gz").stdout
locations = shown[shown.index("Locations"):shown.index("Mappings")].splitlines()[1:]
mappings = shown[shown.index("Mappings"):].splitlines()[1:]
nameless = [l for l in locations if re.fullmatch(r" *\d+: 0x\w+ M=\d+ *", l)]
good = not nameless and "[FN]" in mappings[0]
print(f"{'ok' if good else 'FAIL':5}18 has_functions with addresses left: {len(nameless)} of {len(locations)}")
failures += not good
good = re.match(r"1: \S+ " + re.escape(samples) + "/host ", mappings[0]) is not None
print(f"{'ok' if good else 'FAIL':5}19 the first mapping is the host: {mappings[0]}")
failures += not good

if os.path.exists(lib + "go.so"):
    known = symbols(lib + "go.so")
    some = [name for name in known if re.fullmatch(r"runtime\.[^.]*", name) and known[name][1] > 32][::50][:20]
    some += [name for name in known if name.startswith("main.") and known[name][1] > 32][:5]
    p = Profile()
    add = p.library(lib + "go_stripped.so")
    for name in some:
        add(known[name][0] + 8)
    judge("20 a stripped Go plugin, 21 with cgo", p, [re.escape(name) for name in some],
          ["crosscall", r"go_stripped\.so!"], options=["--strict"])

if os.path.exists(lib + "cxx.so"):
    known = symbols(lib + "cxx.so")
    p = Profile()
    add = p.library(lib + "cxx.so")
    for name, (start, size) in known.items():
        for offset in range(0, size if name.startswith("_Z") else 0, 3):
            add(start + offset)
    judge("22 functions of one C++ file", p, [r".*::.*"], [r"^(operator\(\)|Run|find|\(anonymous)( \(inline\))?$"])

judge("23 a library with an address of its own (prelink)", two(lib + "far.so"), BOTH)
sys.exit(failures > 0)
