"""Looks for what a host should not have left lying about."""
import glob
import json
import os
import re

found = []

for name in os.environ:
    if re.search(r"SECRET|TOKEN|PASSW|API_?KEY|CREDENTIAL|AWS_|AZURE_|GOOGLE_|GITHUB_|SSH_|KUBE", name):
        found.append("env " + name)

PATHS = [
    "/root/.ssh/*", "/root/.aws/*", "/root/.kube/config", "/root/.docker/config.json", "/root/.bash_history",
    "/home/*/.ssh/*", "/home/*/.aws/*", "/home/*/.config/gcloud/*", "/home/*/.netrc", "/home/*/.bash_history",
    "/etc/shadow", "/etc/sudoers", "/etc/ssh/ssh_host_*_key", "/etc/ssl/private/*", "/etc/kubernetes/*",
    "/var/run/secrets/*", "/run/secrets/*", "/run/docker.sock", "/var/run/docker.sock", "/run/containerd/*.sock",
    "/run/systemd/private", "/run/dbus/system_bus_socket", "/var/lib/docker/*", "/var/log/auth.log", "/var/log/syslog",
]
for pattern in PATHS:
    found.extend(path for path in sorted(glob.glob(pattern)) if os.access(path, os.R_OK))

print("found:", found)
json.dump({"found": found}, open("/work/result.json", "w"))
