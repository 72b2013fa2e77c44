"""Repairs a program that failed: the stand-in for a language model.

Brig runs it once for each failure (--repair-cmd 'python3 examples/repair/fix.py').
It reads one JSON object on stdin, {"custom_id", "language", "code", "verdict",
"stderr", …}, and prints the corrected program. When it knows no cure it says so
on stderr and exits with 1, and the failure stands.

A few rules are enough for the mistakes in items.jsonl, and they give the same
answer every time, which a model does not.
"""
import difflib
import json
import re
import sys


def undefined_name(code, stderr, verdict):
    """A module that was not imported, or a misspelt name."""
    found = re.search(r"NameError: name '(\w+)' is not defined", stderr)
    if not found:
        return None
    name = found[1]
    if name in sys.stdlib_module_names:
        return f"import {name}\n{code}"
    others = sorted(set(re.findall(r"[A-Za-z_]\w*", code)) - {name})
    close = difflib.get_close_matches(name, others, n=1)
    return re.sub(rf"\b{name}\b", close[0], code) if close else None


def not_serialisable(code, stderr, verdict):
    """json does not know Decimal, date and the like: let str() write them."""
    if not re.search(r"TypeError: Object of type \w+ is not JSON serializable", stderr):
        return None
    return re.sub(r"(json\.dumps?\(.*)\)$", r"\1, default=str)", code, flags=re.MULTILINE)


def printed_result(code, stderr, verdict):
    """The answer went to stdout and not to the file."""
    if verdict != "bad_result":
        return None
    return re.sub(
        r"^print\(json\.dumps\((.+)\)\)$",
        r'with open("/work/result.json", "w") as f:\n    json.dump(\1, f)',
        code, flags=re.MULTILINE,
    )


def bash_test(code, stderr, verdict):
    """[[ a == b ]] is bash; sh has [ a = b ]."""
    if "[[: not found" not in stderr:
        return None
    return re.sub(r"\[\[ (.+?) == (.+?) \]\]", r"[ \1 = \2 ]", code)


RULES = {
    "python": [undefined_name, not_serialisable, printed_result],
    "sh": [bash_test],
}


def main():
    request = json.load(sys.stdin)
    for rule in RULES.get(request["language"], []):
        fixed = rule(request["code"], request["stderr"], request["verdict"])
        if fixed is not None and fixed != request["code"]:
            sys.stdout.write(fixed)
            return
    sys.exit(f"fix.py knows no cure for {request['custom_id']} ({request['verdict']})")


if __name__ == "__main__":
    main()
