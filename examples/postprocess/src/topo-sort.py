import json
from graphlib import CycleError, TopologicalSorter

with open("/work/input.json") as f:
    deps = json.load(f)

sorter = TopologicalSorter(deps)
try:
    sorter.prepare()
    stages = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        stages.append(ready)
        sorter.done(*ready)
    result = {"ok": True, "stages": stages, "order": [t for stage in stages for t in stage]}
except CycleError as e:
    # rotate the cycle so that the smallest name comes first
    cycle = e.args[1][:-1]
    i = cycle.index(min(cycle))
    result = {"ok": False, "cycle": sorted(cycle[i:] + cycle[:i])}

with open("/work/result.json", "w") as f:
    json.dump(result, f)
