"""Tries every way out, and reports whether one of them works."""
import json
import socket

TARGETS = [("1.1.1.1", 443), ("8.8.8.8", 53), ("192.168.0.1", 80), ("10.0.0.1", 80), ("2606:4700:4700::1111", 443), ("example.com", 80)]


def reachable(host, port):
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def dns_answers():
    query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03com\x00\x00\x01\x00\x01"
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(1)
            s.sendto(query, ("8.8.8.8", 53))
            return bool(s.recv(512))
    except OSError:
        return False


ways = [f"{host}:{port}" for host, port in TARGETS if reachable(host, port)]
if dns_answers():
    ways.append("dns over udp")
print("ways out:", ways)
json.dump({"reachable": bool(ways)}, open("/work/result.json", "w"))
