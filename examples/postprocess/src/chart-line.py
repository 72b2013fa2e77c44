import json, os, struct, zlib

W, H, PAD = 400, 240, 24

def write_png(path, width, height, pixels):
    """pixels: one palette index per pixel, row by row."""
    palette = bytes([255, 255, 255, 210, 210, 210, 40, 40, 40, 31, 119, 180, 255, 127, 14, 44, 160, 44, 214, 39, 40])
    raw = bytearray()
    for y in range(height):
        raw.append(0)  # filter: none
        raw += pixels[y * width:(y + 1) * width]
    def chunk(tag, body):
        return struct.pack('>I', len(body)) + tag + body + struct.pack('>I', zlib.crc32(tag + body) & 0xffffffff)
    with open(path, 'wb') as f:
        f.write(b'\x89PNG\r\n\x1a\n')
        f.write(chunk(b'IHDR', struct.pack('>2I5B', width, height, 8, 3, 0, 0, 0)))
        f.write(chunk(b'PLTE', palette))
        f.write(chunk(b'IDAT', zlib.compress(bytes(raw), 9)))
        f.write(chunk(b'IEND', b''))

def line(pixels, x0, y0, x1, y1, color):
    # Bresenham
    dx, dy = abs(x1 - x0), -abs(y1 - y0)
    sx, sy = (1 if x0 < x1 else -1), (1 if y0 < y1 else -1)
    err = dx + dy
    while True:
        if 0 <= x0 < W and 0 <= y0 < H:
            pixels[y0 * W + x0] = color
        if x0 == x1 and y0 == y1:
            return
        e2 = 2 * err
        if e2 >= dy:
            err += dy; x0 += sx
        if e2 <= dx:
            err += dx; y0 += sy

data = json.load(open('/work/input.json'))
all_values = [v for s in data['lines'].values() for v in s]
low, high = min(all_values), max(all_values)
span = (high - low) or 1

pixels = bytearray(W * H)
for i in range(5):                                   # grid
    y = PAD + (H - 2 * PAD) * i // 4
    line(pixels, PAD, y, W - PAD, y, 1)
line(pixels, PAD, PAD, PAD, H - PAD, 2)              # axes
line(pixels, PAD, H - PAD, W - PAD, H - PAD, 2)

for color, values in enumerate(data['lines'].values(), 3):
    pts = [(PAD + (W - 2 * PAD) * i // max(1, len(values) - 1), H - PAD - round((H - 2 * PAD) * (v - low) / span)) for i, v in enumerate(values)]
    for a, b in zip(pts, pts[1:]):
        line(pixels, *a, *b, color)

os.makedirs('/work/out', exist_ok=True)
write_png('/work/out/lines.png', W, H, pixels)
json.dump({'chart': 'out/lines.png', 'low': low, 'high': high, 'inked': sum(p > 2 for p in pixels)}, open('/work/result.json', 'w'))
