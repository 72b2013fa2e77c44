import json
from functools import lru_cache

with open('/work/input.json') as f:
    problem = json.load(f)

items = problem['items']
capacity = problem['capacity']

@lru_cache(maxsize=None)
def best(i, room):
    """Best value with items[i:] and the given room."""
    if i == len(items):
        return 0
    skip = best(i + 1, room)
    if items[i]['weight'] > room:
        return skip
    return max(skip, items[i]['value'] + best(i + 1, room - items[i]['weight']))

# walk the table again to see what was taken
chosen, room = [], capacity
for i, item in enumerate(items):
    if best(i, room) != best(i + 1, room):
        chosen.append(item['name'])
        room -= item['weight']

result = {'value': best(0, capacity), 'chosen': chosen, 'unused': room}
print(best.cache_info())
json.dump(result, open('/work/result.json', 'w'))
