import json
from email import policy
from email.parser import BytesParser
from email.utils import parsedate_to_datetime
from pathlib import Path

raw = Path("/work/message.eml").read_bytes()
msg = BytesParser(policy=policy.default).parsebytes(raw)

body = msg.get_body(preferencelist=("plain", "html"))
text = body.get_content() if body else ""

# drop quoted lines and the signature
lines = []
for line in text.splitlines():
    if line.rstrip() == "--":
        break
    if not line.startswith(">"):
        lines.append(line.rstrip())

result = {
    "from": [a.addr_spec for a in msg["from"].addresses] if msg["from"] else [],
    "to": [a.addr_spec for a in msg["to"].addresses] if msg["to"] else [],
    "subject": str(msg["subject"] or ""),
    "date": parsedate_to_datetime(msg["date"]).isoformat() if msg["date"] else None,
    "attachments": [{"name": p.get_filename(), "type": p.get_content_type(), "bytes": len(p.get_payload(decode=True) or b"")} for p in msg.iter_attachments()],
    "text": "\n".join(lines).strip(),
}
Path("/work/result.json").write_text(json.dumps(result, ensure_ascii=False), encoding="utf-8")
