import base64, binascii, codecs, gzip, json, zlib

def attempt(step, data):
    if step == "base64":
        return base64.b64decode(data, validate=True)
    if step == "base64url":
        return base64.urlsafe_b64decode(data + b"=" * (-len(data) % 4))
    if step == "hex":
        return bytes.fromhex(data.decode("ascii"))
    if step == "gzip":
        return gzip.decompress(data)
    if step == "zlib":
        return zlib.decompress(data)
    if step == "rot13":
        return codecs.decode(data.decode("ascii"), "rot13").encode()
    raise KeyError(step)

out = []
for job in json.load(open("/work/input.json")):
    data = job["data"].encode()
    try:
        for step in job["steps"]:
            data = attempt(step, data)
        out.append({"text": data.decode(job.get("charset", "utf-8")), "bytes": len(data)})
    except (binascii.Error, ValueError, KeyError, OSError, zlib.error) as e:
        out.append({"error": type(e).__name__, "at": step})

json.dump(out, open("/work/result.json", "w"), ensure_ascii=True)
