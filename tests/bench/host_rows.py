"""Rows about other people's programs: with us at 99 Hz and one allocation in 512 KiB, and without."""

import glob
import os
import re
import shutil
import statistics
import subprocess
import time

from statistics_of_pairs import with_interval

CODE = {
    "perl": ["perl", "-MDigest::SHA=sha512_hex", "-e",
             "$t = 'x' x 1000; $t = sha512_hex($t) x 8 for 1 .. 60000; print $t"],
    "python3": ["python3", "-c",
                "import json, zlib\nfor i in range(6):"
                "\n t = json.dumps(list(range(150000)))"
                "\n json.loads(t); zlib.compress(t.encode(), 1)"],
    "ruby": ["ruby", "-rdigest", "-e",
             "s = 'a' * 1000; 60000.times { s = Digest::SHA512.hexdigest(s) * 8 }; puts s.size"],
    "php": ["php", "-r", "$s = 'a'; for ($i = 0; $i < 150000; $i++)"
            " $s = substr(hash('sha512', $s) . strtoupper($s), 0, 2000); echo md5($s);"],
    "node": ["node", "-e", "let x = 0; for (let j = 0; j < 60; j++)"
             " x += JSON.parse(JSON.stringify(Array.from({length: 20000}, (_, i) => i * j))).length;"
             " console.log(x)"],
    "sqlite3": ["sqlite3", ":memory:",
                "with recursive n(i) as (select 1 union all select i + 1 from n where i < 1500000)"
                " select sum(i * i % 7), count(distinct i % 1000) from n;"],
    "openssl": ["openssl", "dgst", "-sha512", "/work-file"],
    "gcc": ["gcc", "-O2", "-c", "-o", "/dev/null", "/work-file.c"],
}  # fmt: skip


def settle(command, work):
    """The command with its path and its input, or None when it is not here."""
    path = shutil.which(command[0])
    if not path or (command[0] == "python3" and not os.path.exists("/usr/bin/python3")):
        return None
    if command[0] == "python3":
        path = "/usr/bin/python3"  # not a script that finds one
    if command[0] == "openssl":
        with open(f"{work}/file", "wb") as file:
            file.truncate(300 << 20)
    if command[0] == "gcc":
        with open(f"{work}/file.c", "w", encoding="utf-8") as file:
            for i in range(1500):
                file.write(f"int f{i}(int *p, int n) {{ int s = 0; for (int i = 0; i < n; i++)"
                           f" s += p[i] * {i} ^ s; return s; }}\n")  # fmt: skip
    return [path, *(word.replace("/work-file", f"{work}/file") for word in command[1:])]


def survives(command, env):
    result = subprocess.run(
        command, env={"PATH": os.environ["PATH"], **env}, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    return result.returncode == 0


def measure_programs(row, run, ours, peer, work, spools, rounds):
    count = 9 * rounds
    for name, command in CODE.items():
        command = settle(command, work)
        if not command:
            row(f"CPU time of {name}", "1.01 x", "-", "-", f"no {name} here")
            continue
        with_peer = peer and survives(command, peer)
        environments = [{}, ours] + ([peer] if with_peer else [])
        variants = [
            ";".join(f"{key}={value}" for key, value in {"PATH": os.environ["PATH"], **env}.items())
            for env in environments
        ]
        times = [
            [int(word) / 1e6 for word in words[1::2]]
            for words in run("paired", count, *variants, "--", *command)[-count:]
        ]
        for spool in glob.glob(f"{spools}/*.spool"):
            os.unlink(spool)
        plain = statistics.median(each[0] for each in times)
        peers = "gperftools' CPU alone crashes it" if peer else "-"
        if with_peer:
            ratio = statistics.median(each[2] / each[0] for each in times)
            peers = f"gperftools' CPU alone {ratio:.2f} x"
        row(
            f"CPU time of {name}", "1.01 x",
            with_interval([each[1] / each[0] for each in times], "x"), peers,
            f"{count} pairs, {plain:.0f} ms of CPU time, start and end of the process included",
        )  # fmt: skip


# --- servers ---


class Server:
    """One of two that serve side by side; START makes its command, ASK measures it once."""

    def __init__(self, command, env):
        self.process = subprocess.Popen(
            command, env={**os.environ, **env}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.results = []

    def stop(self):
        self.process.terminate()
        self.process.wait()


def output(command):
    return subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False
    ).stdout


def nginx(work, number):
    folder = f"{work}/nginx{number}"
    port = 18481 + number
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/page.txt", "w", encoding="utf-8") as file:
        file.write("page " * 400)
    with open(f"{folder}/nginx.conf", "w", encoding="utf-8") as file:
        file.write(
            f"worker_processes 1; daemon off; error_log {folder}/log; pid {folder}/pid;\n"
            + ("user root;\n" if os.getuid() == 0 else "")
            + f"events {{}} http {{ access_log off; server {{ listen 127.0.0.1:{port};"
            f" location / {{ root {folder}; gzip on; gzip_types *; }} }} }}\n"
        )

    def ask():
        text = output(["wrk", "-t", "1", "-c", "4", "-d", "1", "--latency", "-H",
                       "Accept-Encoding: gzip", f"http://127.0.0.1:{port}/page.txt"])  # fmt: skip
        late = re.search(r"99%\s+([0-9.]+)(us|ms|s)", text)
        rate = re.search(r"Requests/sec:\s+([0-9.]+)", text)
        unit = {"us": 1, "ms": 1e3, "s": 1e6}
        return late and rate and (float(late[1]) * unit[late[2]], float(rate[1]))

    return ["nginx", "-p", folder, "-c", f"{folder}/nginx.conf"], ask


def redis(work, number):
    socket = f"{work}/redis{number}.sock"

    def ask():
        text = output(["redis-benchmark", "-s", socket, "--csv", "-n", "40000", "-c", "16",
                       "-t", "lpush", "-d", "200"])  # fmt: skip
        lines = [line.replace('"', "").split(",") for line in text.splitlines()]
        if len(lines) < 2 or "p99_latency_ms" not in lines[0]:
            return None
        values = dict(zip(lines[0], lines[-1]))
        return float(values["p99_latency_ms"]) * 1e3, float(values["rps"])

    return ["redis-server", "--port", "0", "--unixsocket", socket, "--save", ""], ask


def measure_server(row, ours, work, spools, rounds, name, make, needed):
    if not all(map(shutil.which, needed)):
        row(f"{name} under load", "-", "-", "-", f"not here: {' or '.join(needed)}")
        return
    count = 10 * rounds
    pairs = []
    servers, asks = [], []
    for number, env in enumerate(({}, ours)):
        command, ask = make(work, number)
        servers.append(Server(command, env))
        asks.append(ask)
    try:
        time.sleep(1)
        for turn in range(-1, count):
            pair = [None, None]
            for which in (0, 1) if turn % 2 else (1, 0):
                pair[which] = asks[which]()
            if turn >= 0 and all(pair):
                pairs.append(pair)
    finally:
        for server in servers:
            server.stop()
        for spool in glob.glob(f"{spools}/*.spool"):
            os.unlink(spool)
    if len(pairs) < 3:
        row(f"{name} under load", "-", "-", "-", "it does not answer")
        return
    note = f"{len(pairs)} pairs side by side; alone {pairs[0][0][1]:.0f} requests/s"
    row(f"{name}: 99th percentile of latency", "1.02 x",
        with_interval([after[0] / before[0] for before, after in pairs], "x"), "-", note)  # fmt: skip
    row(f"{name}: throughput", "0.99 x",
        with_interval([after[1] / before[1] for before, after in pairs], "x"), "-", note)  # fmt: skip


def measure(row, run, ours, peer, work, spools, rounds):
    """ROW and RUN are table.py's; OURS and PEER environments, PEER may be None; WORK and SPOOLS
    its folders."""
    measure_programs(row, run, ours, peer, work, spools, rounds)
    measure_server(row, ours, work, spools, rounds, "nginx", nginx, ["nginx", "wrk"])
    measure_server(
        row, ours, work, spools, rounds, "redis", redis, ["redis-server", "redis-benchmark"]
    )
