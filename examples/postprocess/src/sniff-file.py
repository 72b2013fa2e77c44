"""Identify an uploaded file by its first bytes and read its basic properties."""
import gzip
import io
import json
import struct
import zipfile
from pathlib import Path


def png(data):
    width, height, depth, color = struct.unpack(">IIBB", data[16:26])
    return {"width": width, "height": height, "bit_depth": depth, "alpha": color in (4, 6)}


def gif(data):
    width, height = struct.unpack("<HH", data[6:10])
    return {"version": data[3:6].decode(), "width": width, "height": height}


def wav(data):
    channels, rate = struct.unpack("<HI", data[22:28])
    bits = struct.unpack("<H", data[34:36])[0]
    size = struct.unpack("<I", data[40:44])[0]
    return {"channels": channels, "rate": rate, "seconds": size / (rate * channels * bits // 8)}


def zip_file(data):
    with zipfile.ZipFile(io.BytesIO(data)) as z:
        return {"entries": [{"name": i.filename, "bytes": i.file_size} for i in z.infolist()], "intact": z.testzip() is None}


def gz(data):
    return {"text": gzip.decompress(data).decode("utf-8", "replace")[:100]}


KINDS = [
    (b"\x89PNG\r\n\x1a\n", "png", png),
    (b"GIF8", "gif", gif),
    (b"RIFF", "wav", wav),
    (b"PK\x03\x04", "zip", zip_file),
    (b"\x1f\x8b", "gzip", gz),
]

report = {}
for path in sorted(Path("/work/uploads").iterdir()):
    data = path.read_bytes()
    report[path.name] = {"kind": "unknown", "bytes": len(data)}
    for magic, kind, reader in KINDS:
        if data.startswith(magic):
            report[path.name].update(kind=kind, **reader(data))
            break

Path("/work/result.json").write_text(json.dumps(report, indent=2))
