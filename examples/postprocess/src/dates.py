import json
from datetime import datetime, timedelta, timezone

FORMATS = [
    "%Y-%m-%dT%H:%M:%S%z",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d",
    "%d.%m.%Y",
    "%d %B %Y",
    "%d %b %Y",
    "%B %d, %Y",
    "%b %d, %Y",
    "%a, %d %b %Y %H:%M:%S %z",
    "%Y%m%d",
    "%m/%d/%Y",
    "%m/%d/%y",
]


def parse_date(value, day_first=False):
    value = str(value).strip().replace("Sept ", "Sep ")
    # unix timestamps, in seconds or milliseconds
    if value.isdigit() and len(value) in (10, 13):
        seconds = int(value) / (1000 if len(value) == 13 else 1)
        return datetime.fromtimestamp(seconds, tz=timezone.utc)
    # Excel serial numbers
    if value.isdigit() and len(value) == 5:
        return datetime(1899, 12, 30, tzinfo=timezone.utc) + timedelta(days=int(value))
    formats = list(FORMATS)
    if day_first:
        formats = [f.replace("%m/%d", "%d/%m") for f in formats]
    for fmt in formats:
        try:
            parsed = datetime.strptime(value, fmt)
        except ValueError:
            continue
        if parsed.tzinfo is None:
            parsed = parsed.replace(tzinfo=timezone.utc)
        return parsed.astimezone(timezone.utc)
    return None


with open('/work/input.json') as f:
    data = json.load(f)

output = []
for raw in data['dates']:
    d = parse_date(raw, data.get('day_first', False))
    output.append({
        'raw': raw,
        'iso': d.strftime('%Y-%m-%dT%H:%M:%SZ') if d else None,
        'weekday': d.strftime('%A') if d else None,
        'week': d.isocalendar()[1] if d else None,
    })

with open('/work/result.json', 'w') as f:
    json.dump(output, f, indent=2)
print('done:', sum(1 for o in output if o['iso']), 'of', len(output))
