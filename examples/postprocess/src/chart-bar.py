"""Bar chart as PNG, standard library only."""
import json
import os
import struct
import zlib

WIDTH, HEIGHT, MARGIN = 320, 200, 20
PALETTE = [(66, 133, 244), (219, 68, 55), (244, 180, 0), (15, 157, 88), (171, 71, 188), (0, 172, 193)]


class Canvas:
    def __init__(self, width, height, background=(255, 255, 255)):
        self.width, self.height = width, height
        self.rows = [bytearray(bytes(background) * width) for _ in range(height)]

    def rect(self, x0, y0, x1, y1, color):
        x0, x1 = max(0, int(x0)), min(self.width, int(x1))
        span = bytes(color) * max(0, x1 - x0)
        for y in range(max(0, int(y0)), min(self.height, int(y1))):
            self.rows[y][x0 * 3 : x1 * 3] = span

    def png(self):
        def chunk(kind, data):
            return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

        header = struct.pack(">IIBBBBB", self.width, self.height, 8, 2, 0, 0, 0)
        raw = b"".join(b"\0" + row for row in self.rows)
        return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


def bar_chart(values):
    canvas = Canvas(WIDTH, HEIGHT)
    bottom, top = HEIGHT - MARGIN, MARGIN
    biggest = max(values) or 1
    slot = (WIDTH - 2 * MARGIN) / len(values)
    heights = []
    for i, v in enumerate(values):
        h = round((bottom - top) * v / biggest)
        heights.append(h)
        x = MARGIN + i * slot
        canvas.rect(x + slot * 0.15, bottom - h, x + slot * 0.85, bottom, PALETTE[i % len(PALETTE)])
    canvas.rect(MARGIN, bottom, WIDTH - MARGIN, bottom + 2, (60, 60, 60))
    canvas.rect(MARGIN - 2, top, MARGIN, bottom + 2, (60, 60, 60))
    return canvas, heights


def main():
    with open("/work/input.json") as f:
        data = json.load(f)
    canvas, heights = bar_chart(list(data["series"].values()))
    os.makedirs("/work/out", exist_ok=True)
    with open("/work/out/bar.png", "wb") as f:
        f.write(canvas.png())
    with open("/work/result.json", "w") as f:
        json.dump({"chart": "out/bar.png", "bars": dict(zip(data["series"], heights))}, f)


if __name__ == "__main__":
    main()
