"""Numbers to words and to Roman numerals, and back."""
import json

ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
TENS = "_ _ twenty thirty forty fifty sixty seventy eighty ninety".split()
SCALES = [(10**9, "billion"), (10**6, "million"), (10**3, "thousand"), (100, "hundred")]
ROMAN = [(1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"), (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I")]


def words(n):
    if n < 0:
        return "minus " + words(-n)
    if n < 20:
        return ONES[n]
    if n < 100:
        return TENS[n // 10] + ("-" + ONES[n % 10] if n % 10 else "")
    for size, name in SCALES:
        if n >= size:
            head, rest = divmod(n, size)
            glue = " and " if size == 100 else " "
            return words(head) + " " + name + (glue + words(rest) if rest else "")


def roman(n):
    out = ""
    for value, symbol in ROMAN:
        while n >= value:
            out += symbol
            n -= value
    return out


def from_roman(s):
    values = {symbol: value for value, symbol in ROMAN if len(symbol) == 1}
    total = 0
    for a, b in zip(s, s[1:] + " "):
        total += -values[a] if values.get(b, 0) > values[a] else values[a]
    return total


result = {}
for n in json.load(open("/work/input.json")):
    entry = {"words": words(n)}
    if 0 < n < 4000:
        entry["roman"] = roman(n)
        assert from_roman(entry["roman"]) == n
    result[str(n)] = entry

with open("/work/result.json", "w") as f:
    json.dump(result, f, indent=2)
