import json
from urllib.parse import urlsplit, parse_qs, unquote
import ipaddress

def kind_of_host(host):
    if not host:
        return None
    try:
        ip = ipaddress.ip_address(host)
        return f"ipv{ip.version}" + ("-private" if ip.is_private else "")
    except ValueError:
        return "name"

out = []
for url in json.load(open("/work/input.json")):
    try:
        u = urlsplit(url)
        out.append({
            "scheme": u.scheme,
            "host": u.hostname,
            "host_kind": kind_of_host(u.hostname),
            "port": u.port or {"http": 80, "https": 443, "ftp": 21}.get(u.scheme),
            "path": [unquote(p) for p in u.path.split("/") if p],
            "query": parse_qs(u.query, keep_blank_values=True),
            "fragment": u.fragment or None,
            "has_credentials": u.username is not None,
        })
    except ValueError as e:
        out.append({"url": url, "error": "invalid"})
        print(url, "->", e)

json.dump(out, open("/work/result.json", "w"), indent=2)
