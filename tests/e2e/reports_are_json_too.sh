#!/bin/bash
# plugprof inspect --json and symbolize --json: documents with the members that the man pages name, and
# the numbers that people read.
. "${srcdir:-.}/tests/e2e/lib.sh"
need_samples
command -v python3 >/dev/null || skip "no python3"
plugin=$work/plugin.so
mkdir "$PLUGPROF_SYMBOLS"
strip -o "$plugin" "$samples/plugin_codec.so" || skip "no strip"
record_well raw --cpu --raw -F 1000 --keep=never -- "$samples/host" -t 0.3 "$plugin"

"$tool" symbolize --json -o "$work/named.pb.gz" "$work/raw.pb.gz" >"$work/symbolize.json" 2>"$work/err" ||
	fail "symbolize --json: status $?"
"$tool" inspect --json "$work/named.pb.gz" >"$work/inspect.json" || fail "inspect --json: status $?"
"$tool" inspect --json "$work/raw.pb.gz" >"$work/raw.json" || fail "inspect --json of a raw profile: status $?"
"$tool" inspect -v "$work/named.pb.gz" >"$work/text" || fail "inspect: status $?"
python3 - "$work" "$plugin" <<'END' || fail "the documents are not as they should be"
import json, re, sys
work, plugin = sys.argv[1:]
symbolize, inspect, raw = (json.load(open(f"{work}/{name}.json")) for name in ("symbolize", "inspect", "raw"))
assert set(inspect) == {"file", "frames", "named", "modules", "plugins"}, set(inspect)
assert set(symbolize) - set(inspect) == {"output", "search"}
for name in ("frames", "named", "modules", "plugins"):
    assert symbolize[name] == inspect[name] == raw[name], name
assert inspect["file"] == f"{work}/named.pb.gz" and symbolize["output"] == f"{work}/named.pb.gz"
assert 0 < inspect["named"] < inspect["frames"] == sum(m["frames"] for m in inspect["modules"])
lines = [line for line in open(f"{work}/text") if re.match(r" +[0-9]+ +[0-9.]+% ", line)][:-1]
assert len(lines) == len(inspect["modules"])
for line, m in zip(lines, inspect["modules"]):
    assert set(m) == {"path", "build_id", "verdict", "reason", "frames", "named", "self"}, m
    frames, share, build_id, verdict, rest = line.split(None, 4)
    assert (int(frames), build_id, verdict) == (m["frames"], m["build_id"] or "-", m["verdict"]), (line, m)
    assert rest.rstrip("\n") == m["path"] + (": " + m["reason"] if m["reason"] else ""), (line, m)
    assert abs(float(share[:-1]) - 100 * m["named"] / m["frames"]) < 0.06
found = next(m for m in symbolize["search"] if m["path"] == plugin)
assert set(found) == {"path", "build_id", "places", "answers"}
assert {"place": "own path", "path": plugin, "outcome": "taken: exported symbols in it"} in found["places"]
assert any(p["place"] == "kept file" and p["outcome"] == "absent" for p in found["places"])
assert {a["source"] for a in found["answers"]} >= {".dynsym", ".eh_frame"}, found["answers"]
assert [p for p in inspect["plugins"] if p["name"] == "plugin.so"][0]["value"] > 0
END

# A document goes to standard output: so a profile cannot.  One that cannot be written leaves none.
"$tool" symbolize --json "$work/raw.pb.gz" >"$work/out" 2>"$work/err"
status=$?
[ $status -eq 2 ] || fail "two things on standard output: status $status"
grep -q 'name the profile with -o' "$work/err" || fail "not said what to do: $(cat "$work/err")"
"$tool" symbolize --json -o "$work/no/where" "$work/raw.pb.gz" >"$work/out" 2>"$work/err"
status=$?
[ $status -eq 1 ] || fail "it was not written: status $status"
[ ! -s "$work/out" ] || fail "a document of what was not written"
"$tool" symbolize --json -e "$plugin" 0x1144 >"$work/out" 2>/dev/null
python3 -c 'import json, sys; assert json.load(sys.stdin)["address"] == "0x1144"' <"$work/out" ||
	fail "--json of addresses: $(cat "$work/out")"
finish
