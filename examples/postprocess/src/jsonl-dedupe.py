"""Keep the newest version of every record in a JSON Lines file."""
import json
from typing import Dict, List, Optional


def read_records(path: str) -> tuple[List[dict], List[int]]:
    records: List[dict] = []
    bad: List[int] = []
    with open(path, encoding="utf-8") as stream:
        for number, line in enumerate(stream, 1):
            line = line.strip()
            if not line:
                continue
            try:
                record = json.loads(line)
            except json.JSONDecodeError:
                bad.append(number)
                continue
            if not isinstance(record, dict) or "id" not in record:
                bad.append(number)
                continue
            records.append(record)
    return records, bad


def newest(records: List[dict]) -> List[dict]:
    best: Dict[str, dict] = {}
    for record in records:
        key = str(record["id"])
        current: Optional[dict] = best.get(key)
        if current is None or record.get("updated_at", "") >= current.get("updated_at", ""):
            best[key] = record
    return [best[k] for k in sorted(best)]


def main() -> None:
    records, bad = read_records("/work/records.jsonl")
    kept = newest(records)
    with open("/work/result.json", "w", encoding="utf-8") as out:
        json.dump({"records": kept, "duplicates": len(records) - len(kept), "bad_lines": bad}, out)


if __name__ == "__main__":
    main()
