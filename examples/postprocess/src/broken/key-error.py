import json

orders = [{"id": 1, "customer": "ann", "total": 20}, {"id": 2, "customer": "bob"}]
revenue = sum(order["total"] for order in orders)

with open("/work/result.json", "w") as f:
    json.dump({"revenue": revenue}, f)
