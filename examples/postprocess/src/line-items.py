#!/usr/bin/env python3
"""Extract a fixed-width line item table and check the arithmetic of each line."""
import json
from dataclasses import dataclass, asdict
from decimal import Decimal, ROUND_HALF_UP

CENT = Decimal("0.01")


@dataclass
class Line:
    sku: str
    description: str
    qty: int
    price: Decimal
    amount: Decimal

    @property
    def expected(self) -> Decimal:
        return (self.price * self.qty).quantize(CENT, ROUND_HALF_UP)


def column_bounds(header: str):
    names, starts = [], []
    at = 0
    for word in header.split():
        at = header.index(word, at)
        names.append(word.lower())
        starts.append(at)
        at += len(word)
    return list(zip(names, starts, starts[1:] + [None]))


def parse(table: str):
    rows = [r for r in table.splitlines() if r.strip() and not set(r.strip()) <= set("-=+ ")]
    bounds = column_bounds(rows[0])
    for row in rows[1:]:
        cell = {name: row[a:b].strip() for name, a, b in bounds}
        yield Line(cell["sku"], cell["description"], int(cell["qty"]), Decimal(cell["price"]), Decimal(cell["amount"]))


def main():
    data = json.load(open("/work/input.json"))
    lines = list(parse(data["table"]))
    wrong = [l.sku for l in lines if l.expected != l.amount]
    out = {
        "lines": [{k: (str(v) if isinstance(v, Decimal) else v) for k, v in asdict(l).items()} for l in lines],
        "wrong": wrong,
        "total": str(sum((l.amount for l in lines), Decimal(0))),
    }
    json.dump(out, open("/work/result.json", "w"))


if __name__ == "__main__":
    main()
