import json

with open('/work/input.json', 'r') as f:
    data = json.load(f)

def join(left, right, left_key, right_key, how='inner'):
    # Build an index of the right table for O(n + m)
    index = {}
    for row in right:
        index.setdefault(row.get(right_key), []).append(row)

    right_columns = sorted({c for row in right for c in row if c != right_key})
    joined = []
    for row in left:
        matches = index.get(row.get(left_key), [])
        if not matches and how == 'left':
            matches = [dict.fromkeys(right_columns)]
        for match in matches:
            merged = dict(row)
            for column in right_columns:
                name = column if column not in row else f'right_{column}'
                merged[name] = match.get(column)
            joined.append(merged)
    return joined

result = join(data['left'], data['right'], data['on'][0], data['on'][1], data.get('how', 'inner'))
unmatched = [r for r in data['left'] if r.get(data['on'][0]) not in {x.get(data['on'][1]) for x in data['right']}]

with open('/work/result.json', 'w') as f:
    json.dump({'rows': result, 'count': len(result), 'unmatched_left': len(unmatched)}, f)
