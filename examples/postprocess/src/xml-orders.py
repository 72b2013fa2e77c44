import json
import xml.etree.ElementTree as ET
from decimal import Decimal

NS = {"o": "http://example.com/orders"}

tree = ET.parse("/work/orders.xml")
root = tree.getroot()
prefix = "o:" if root.tag.startswith("{") else ""


def text(node, path):
    found = node.find(path, NS)
    return found.text.strip() if found is not None and found.text else None


orders = []
for order in root.iterfind(f".//{prefix}order", NS):
    lines = []
    for line in order.iterfind(f"{prefix}line", NS):
        lines.append({
            "sku": line.get("sku"),
            "quantity": int(line.get("quantity", "1")),
            "price": text(line, f"{prefix}price"),
        })
    total = sum((Decimal(l["price"]) * l["quantity"] for l in lines if l["price"]), Decimal("0"))
    orders.append({
        "id": order.get("id"),
        "customer": text(order, f"{prefix}customer"),
        "lines": lines,
        "total": str(total),
    })

with open("/work/result.json", "w") as f:
    json.dump({"orders": orders, "revenue": str(sum((Decimal(o["total"]) for o in orders), Decimal("0")))}, f)
print(f"{len(orders)} orders")
