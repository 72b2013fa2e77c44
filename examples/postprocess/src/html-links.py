import json
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit, urlunsplit, parse_qsl, urlencode

TRACKING = ("utm_", "fbclid", "gclid", "ref")

class Links(HTMLParser):
    def __init__(self, base):
        super().__init__()
        self.base = base
        self.links = []
        self.title = ""
        self._in = None
        self._text = []
    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "base" and attrs.get("href"):
            self.base = urljoin(self.base, attrs["href"])
        if tag == "a" and attrs.get("href"):
            self._in, self._text = attrs, []
        if tag == "title":
            self._in, self._text = "title", []
    def handle_data(self, data):
        if self._in is not None:
            self._text.append(data)
    def handle_endtag(self, tag):
        text = " ".join("".join(self._text).split())
        if tag == "title" and self._in == "title":
            self.title = text
            self._in = None
        elif tag == "a" and isinstance(self._in, dict):
            self.links.append((self._in["href"], text, self._in.get("rel") or ""))
            self._in = None

def clean(url):
    parts = urlsplit(url)
    query = [(k, v) for k, v in parse_qsl(parts.query) if not k.startswith(TRACKING)]
    return urlunsplit((parts.scheme, parts.netloc.lower(), parts.path or "/", urlencode(query), ""))

page = json.load(open("/work/input.json"))
p = Links(page["url"])
p.feed(page["html"])

host = urlsplit(page["url"]).netloc
out, seen = [], set()
for href, text, rel in p.links:
    if href.split(":")[0] in ("mailto", "javascript", "tel"):
        continue
    url = clean(urljoin(p.base, href))
    if url in seen:
        continue
    seen.add(url)
    out.append({"url": url, "text": text, "internal": urlsplit(url).netloc == host, "nofollow": "nofollow" in rel})

json.dump({"title": p.title, "links": out}, open("/work/result.json", "w"), indent=1)
