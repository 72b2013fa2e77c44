# Renders a matrix as a grayscale PNG heat map plus a small legend image
import json
import struct
import zlib
from pathlib import Path

OUT = Path("/work/out")
OUT.mkdir(exist_ok=True)


def save_gray(path, rows):
    height, width = len(rows), len(rows[0])
    ihdr = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    idat = zlib.compress(b"".join(b"\x00" + bytes(r) for r in rows))
    png = bytearray(b"\x89PNG\r\n\x1a\n")
    for kind, body in ((b"IHDR", ihdr), (b"IDAT", idat), (b"IEND", b"")):
        png += len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")
    path.write_bytes(png)


cfg = json.loads(Path("/work/input.json").read_text())
matrix, zoom = cfg["matrix"], cfg.get("zoom", 16)
flat = [v for row in matrix for v in row]
lo, hi = min(flat), max(flat)
scale = 255 / (hi - lo) if hi > lo else 0

shades = [[255 - int((v - lo) * scale) for v in row] for row in matrix]
big = [[s for s in row for _ in range(zoom)] for row in shades for _ in range(zoom)]
save_gray(OUT / "heatmap.png", big)
save_gray(OUT / "legend.png", [[255 - x for x in range(256)]] * 12)

Path("/work/result.json").write_text(json.dumps({"width": len(big[0]), "height": len(big), "shades": shades}))
