"""Dijkstra's algorithm over a road map given as a list of edges."""
import heapq
import json
from collections import defaultdict


def build_graph(edges, directed):
    graph = defaultdict(list)
    for a, b, weight in edges:
        if weight < 0:
            raise ValueError(f"negative weight on {a} -> {b}")
        graph[a].append((b, weight))
        if not directed:
            graph[b].append((a, weight))
    return graph


def dijkstra(graph, source):
    distance = {source: 0}
    previous = {}
    queue = [(0, source)]
    while queue:
        d, node = heapq.heappop(queue)
        if d > distance.get(node, float("inf")):
            continue
        for neighbour, weight in graph[node]:
            candidate = d + weight
            if candidate < distance.get(neighbour, float("inf")):
                distance[neighbour] = candidate
                previous[neighbour] = node
                heapq.heappush(queue, (candidate, neighbour))
    return distance, previous


def path_to(previous, source, target):
    path = [target]
    while path[-1] != source:
        if path[-1] not in previous:
            return None
        path.append(previous[path[-1]])
    return path[::-1]


problem = json.load(open("/work/input.json"))
graph = build_graph(problem["edges"], problem.get("directed", False))
distance, previous = dijkstra(graph, problem["from"])

answer = {
    "distance": distance.get(problem["to"]),
    "path": path_to(previous, problem["from"], problem["to"]),
    "reachable": sorted(distance),
}
json.dump(answer, open("/work/result.json", "w"))
