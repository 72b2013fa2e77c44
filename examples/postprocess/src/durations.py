import json, re

UNITS = {
    'w': 604800, 'week': 604800, 'weeks': 604800,
    'd': 86400, 'day': 86400, 'days': 86400,
    'h': 3600, 'hr': 3600, 'hrs': 3600, 'hour': 3600, 'hours': 3600,
    'm': 60, 'min': 60, 'mins': 60, 'minute': 60, 'minutes': 60,
    's': 1, 'sec': 1, 'secs': 1, 'second': 1, 'seconds': 1,
}

def to_seconds(text):
    text = text.strip().lower()
    # ISO 8601: P1DT2H30M
    iso = re.fullmatch(r'p(?:(\d+)w)?(?:(\d+)d)?(?:t(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?)?', text)
    if iso and len(text) > 1:
        w, d, h, m, s = (float(g) if g else 0 for g in iso.groups())
        return w * 604800 + d * 86400 + h * 3600 + m * 60 + s
    # clock: 1:02:03 or 02:03
    if re.fullmatch(r'\d+(:\d{2}){1,2}', text):
        total = 0
        for part in text.split(':'):
            total = total * 60 + int(part)
        return total
    # words: 1 hour and 30 mins
    found = re.findall(r'(\d+(?:[.,]\d+)?)\s*([a-z]+)', text)
    if not found or any(unit not in UNITS for _, unit in found):
        return None
    return sum(float(n.replace(',', '.')) * UNITS[u] for n, u in found)

def humanize(seconds):
    if seconds is None:
        return None
    out, rest = [], int(seconds)
    for name, size in (('d', 86400), ('h', 3600), ('m', 60), ('s', 1)):
        n, rest = divmod(rest, size)
        if n:
            out.append(f'{n}{name}')
    return ' '.join(out) or '0s'

values = json.load(open('/work/input.json'))
result = {v: {'seconds': to_seconds(v), 'human': humanize(to_seconds(v))} for v in values}
open('/work/result.json', 'w').write(json.dumps(result))
