from html.parser import HTMLParser
import json


class TableParser(HTMLParser):
    """Collects every table as a list of rows; colspan repeats a cell."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.tables = []
        self.row = None
        self.cell = None
        self.span = 1

    def handle_starttag(self, tag, attrs):
        if tag == "table":
            self.tables.append([])
        elif tag == "tr" and self.tables:
            self.row = []
        elif tag in ("td", "th") and self.row is not None:
            self.cell = []
            self.span = int(dict(attrs).get("colspan") or 1)
        elif tag == "br" and self.cell is not None:
            self.cell.append(" ")

    def handle_endtag(self, tag):
        if tag in ("td", "th") and self.cell is not None:
            value = " ".join("".join(self.cell).split())
            self.row.extend([value] * self.span)
            self.cell = None
        elif tag == "tr" and self.row is not None:
            if self.row:
                self.tables[-1].append(self.row)
            self.row = None

    def handle_data(self, data):
        if self.cell is not None:
            self.cell.append(data)


with open("/work/input.json", encoding="utf-8") as f:
    html = json.load(f)["html"]

parser = TableParser()
parser.feed(html)

result = []
for table in parser.tables:
    if not table:
        continue
    header, *body = table
    result.append([dict(zip(header, row)) for row in body])

with open("/work/result.json", "w", encoding="utf-8") as f:
    json.dump(result, f, ensure_ascii=False)
