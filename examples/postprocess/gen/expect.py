"""Writes expected.jsonl, what `check` compares a run of the demo batch with.

    python3 examples/postprocess/gen/expect.py

A benign item is really run here, in a directory of its own that stands for
/work, and twice, so that one whose result is not the same every time is found.
Items from src/broken and src/hostile are NEVER run here: what becomes of them
is written in the cases.json beside them.
"""
import base64
import hashlib
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BAD = ("broken", "hostile")


def bad_cases():
    """The hand-written expectations, by custom_id."""
    cases = {}
    for kind in BAD:
        with open(os.path.join(HERE, "src", kind, "cases.json"), encoding="utf-8") as f:
            for case in json.load(f):
                name = os.path.splitext(case["file"])[0]
                cases[kind + "-" + name] = case
    return cases


def put(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(base64.b64decode(text[7:]) if text.startswith("base64:") else text.encode())


def run(item, hash_seed):
    """The item's result and the names of its PNG artifacts."""
    shell = item.get("language") == "sh"
    with tempfile.TemporaryDirectory() as work:
        code = item["code"].replace("/work", work)
        script = os.path.join(work, "run.sh" if shell else "run.py")
        put(script, code)
        if "input" in item:
            put(os.path.join(work, "input.json"), json.dumps(item["input"], ensure_ascii=False, separators=(",", ":")))
        for path, text in item.get("files", {}).items():
            put(os.path.join(work, path), text)
        done = subprocess.run(
            ["sh" if shell else sys.executable, script],
            cwd=work, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20,
            env={"PATH": os.environ["PATH"], "PYTHONHASHSEED": str(hash_seed), "LANG": "C.UTF-8"},
        )
        if done.returncode != 0:
            raise RuntimeError(f"exit {done.returncode}\n{done.stderr}")
        with open(os.path.join(work, "result.json"), encoding="utf-8") as f:
            result = json.load(f, parse_constant=lambda name: not_json(name))
        out = os.path.join(work, "out")
        names = sorted(os.listdir(out)) if os.path.isdir(out) else []
        return result, ["out/" + n for n in names if n.endswith(".png")]


def not_json(name):
    raise ValueError(f"{name} is not JSON")


def expectation(item, line, cases):
    want = {"custom_id": item["custom_id"], "verdict": "ok"}
    case = cases.get(item["custom_id"])
    if case:
        want["verdict"] = case["verdict"]
        if "result" in case:
            want["result"] = case["result"]
    else:
        result, artifacts = run(item, 1)
        if run(item, 2) != (result, artifacts):
            raise RuntimeError("two runs differ")
        want["result"] = result
        if artifacts:
            want["artifacts"] = artifacts
    # Ties the expectation to the item: a test finds one that is out of date.
    want["item_sha256"] = hashlib.sha256(line).hexdigest()
    return want


def main():
    cases = bad_cases()
    lines, failed = [], 0
    with open(os.path.join(HERE, "items.jsonl"), "rb") as f:
        for line in f:
            item = json.loads(line)
            if item["custom_id"].split("-")[0] in BAD and item["custom_id"] not in cases:
                sys.exit(f"expect: {item['custom_id']} has no case")
            try:
                want = expectation(item, line.rstrip(b"\n"), cases)
            except Exception as error:  # one bad program must not hide the next
                print(f"{item['custom_id']}: {error}", file=sys.stderr)
                failed += 1
                continue
            lines.append(json.dumps(want, ensure_ascii=False) + "\n")
    if failed:
        sys.exit(f"expect: {failed} items failed, expected.jsonl is left as it was")
    with open(os.path.join(HERE, "expected.jsonl"), "w", encoding="utf-8") as f:
        f.writelines(lines)
    print(f"{len(lines)} expectations")


if __name__ == "__main__":
    main()
