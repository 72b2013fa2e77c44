import json
from math import isqrt


def sieve(limit: int) -> list[int]:
    flags = bytearray([1]) * (limit + 1)
    flags[0:2] = b"\0\0"
    for i in range(2, isqrt(limit) + 1):
        if flags[i]:
            flags[i * i :: i] = bytes(len(range(i * i, limit + 1, i)))
    return [i for i, f in enumerate(flags) if f]


def factorize(n: int) -> dict[int, int]:
    factors = {}
    d = 2
    while d * d <= n:
        while n % d == 0:
            factors[d] = factors.get(d, 0) + 1
            n //= d
        d += 1 if d == 2 else 2
    if n > 1:
        factors[n] = factors.get(n, 0) + 1
    return factors


def is_prime(n: int) -> bool:
    """Deterministic Miller-Rabin for 64-bit numbers."""
    if n < 2:
        return False
    for p in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37):
        if n % p == 0:
            return n == p
    d, s = n - 1, 0
    while d % 2 == 0:
        d, s = d // 2, s + 1
    for a in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37):
        x = pow(a, d, n)
        if x in (1, n - 1):
            continue
        for _ in range(s - 1):
            x = x * x % n
            if x == n - 1:
                break
        else:
            return False
    return True


if __name__ == "__main__":
    job = json.load(open("/work/input.json"))
    primes = sieve(job["limit"])
    json.dump(
        {
            "count": len(primes),
            "largest": primes[-1] if primes else None,
            "twins": sum(b - a == 2 for a, b in zip(primes, primes[1:])),
            "factors": {n: {str(p): e for p, e in factorize(int(n)).items()} for n in job.get("factor", [])},
            "prime": {n: is_prime(int(n)) for n in job.get("test", [])},
        },
        open("/work/result.json", "w"),
    )
