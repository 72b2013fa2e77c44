"""map and amap: bounded, resumable, and every item with exactly one result."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading

import pytest

import brig


class FakeSandboxes:
    """Makes sandboxes that only count."""

    def __init__(self, failures=()):
        self.failures = list(failures)
        self.open = self.most = self.made = 0
        self.lock = threading.Lock()

    def create(self, template, **options):
        with self.lock:
            if self.failures:
                raise self.failures.pop(0)
            self.made += 1
            self.open += 1
            self.most = max(self.most, self.open)
        return FakeSandbox(self)


class FakeSandbox:
    def __init__(self, owner):
        self.owner = owner

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with self.owner.lock:
            self.owner.open -= 1


class FakeAsyncSandboxes(FakeSandboxes):
    async def create(self, template, **options):
        FakeSandboxes.create(self, template, **options)
        return FakeAsyncSandbox(self)


class FakeAsyncSandbox(FakeSandbox):
    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        self.__exit__()


class FakeClient:
    def __init__(self, sandboxes):
        self.sandboxes = sandboxes


def run(kind, work, items, failures=(), take=None, **options):
    """Maps with either form and gives the results and the fakes."""
    if kind == "map":
        fake = FakeSandboxes(failures)
        found = brig.map(work, items, client=FakeClient(fake), **options)
        return list(itertools.islice(found, take)), fake
    fake = FakeAsyncSandboxes(failures)

    async def main():
        async def awork(sandbox, item):
            await asyncio.sleep(0)
            return work(sandbox, item)

        got = []
        found = brig.amap(awork, items, client=FakeClient(fake), **options)
        async for result in found:
            got.append(result)
            if len(got) == take:
                break
        await found.aclose()
        return got

    return asyncio.run(main()), fake


both = pytest.mark.parametrize("kind", ["map", "amap"])


def square(_, item):
    return item * item


@both
def test_every_item_has_one_result(kind):
    got, fake = run(kind, square, range(100), concurrency=7)
    assert sorted((int(r.key), r.value) for r in got) == [(n, n * n) for n in range(100)]
    assert fake.made == 100 and fake.open == 0 and fake.most <= 7


@both
def test_what_work_raises_is_its_own_items(kind):
    got, fake = run(kind, lambda _, item: 1 / item, range(3))
    assert {r.key: r.ok for r in got} == {"0": False, "1": True, "2": True}
    bad = next(r for r in got if not r.ok)
    assert bad.error == "division by zero" and isinstance(bad.exception, ZeroDivisionError) and bad.attempts == 1
    assert fake.open == 0


@both
def test_an_endless_iterable_is_taken_little_by_little(kind):
    taken = []

    def endless():
        for n in itertools.count():
            taken.append(n)
            yield n

    got, fake = run(kind, square, endless(), take=5, concurrency=3)
    assert len(got) == 5 and len(taken) <= 5 + 2 * 3 and fake.open == 0


@both
def test_lost_sandboxes_are_replaced(kind):
    lost = [brig.UnavailableError("gone"), brig.APIConnectionError("gone")]
    got, _ = run(kind, square, [3], lost, attempts=3)
    assert [(r.value, r.attempts) for r in got] == [(9, 3)]
    got, _ = run(kind, square, [3], lost, attempts=2)
    assert [(r.ok, r.error, r.attempts) for r in got] == [(False, "gone", 2)]


@both
def test_a_request_that_cannot_be_right_ends_the_map(kind):
    with pytest.raises(brig.NotFoundError, match="no such template"):
        run(kind, square, range(50), [brig.NotFoundError("no such template")] * 50, concurrency=2)


@both
def test_resume(kind, tmp_path):
    path = tmp_path / "results.jsonl"
    calls = []

    def work(_, item):
        calls.append(item["id"])
        if item["id"] == 2 and len(calls) < 5:
            raise ValueError("not yet")
        return item["id"] * 10

    items = [{"id": n} for n in range(4)]
    got, _ = run(kind, work, items, resume=path, concurrency=1)
    assert [(r.key, r.ok) for r in got] == [("0", True), ("1", True), ("2", False), ("3", True)]
    with open(path, "ab") as file:
        file.write(b'{"key": "3", "ok": tr')  # a crash cut this line off
    calls += ["again"]
    got, _ = run(kind, work, items + [{"id": 4}], resume=path, concurrency=1)
    assert calls[5:] == [2, 4]
    assert sorted((r.key, r.value, r.resumed) for r in got) == [
        ("0", 0, True), ("1", 10, True), ("2", 20, False), ("3", 30, True), ("4", 40, False),
    ]
    assert [json.loads(line)["key"] for line in path.read_text().splitlines()] == ["0", "1", "2", "3", "2", "4"]


@both
def test_resume_another_sdks_file(kind, tmp_path):
    path = tmp_path / "results.jsonl"
    path.write_text('{"key":"0","ok":true,"value":7}\n{"key":"1","ok":tr\n{"key":"2","ok":false,"value":null}\n')
    got, _ = run(kind, lambda _, item: item, range(3), resume=path)
    assert sorted((r.key, r.value, r.resumed) for r in got) == [("0", 7, True), ("1", 1, False), ("2", 2, False)]


@both
def test_values_that_cannot_be_kept(kind, tmp_path):
    got, _ = run(kind, lambda *_: b"bytes", ["x"], resume=tmp_path / "r")
    assert not got[0].ok and "cannot keep" in got[0].error
    got, _ = run(kind, lambda *_: b"bytes", ["x"])
    assert got[0].value == b"bytes"


@both
def test_keys(kind):
    with pytest.raises(brig.BadRequestError, match="same key"):
        run(kind, square, [1, 1], key=str)
    got, _ = run(kind, lambda _, i: 0, [{"custom_id": "a"}, {"id": 7}, "x"])
    assert {r.key for r in got} == {"a", "7", "2"}


@both
def test_progress(kind):
    seen = []
    run(kind, lambda _, i: 1 / i, range(4), progress=seen.append, concurrency=1)
    assert [(p.done, p.failed, p.total) for p in seen] == [(1, 1, 4), (2, 1, 4), (3, 1, 4), (4, 1, 4)]
    assert str(seen[-1]).startswith("4/4 done, 1 failed, 0 running")


def test_progress_line(capsys):
    run("map", square, range(3), progress=True)
    assert "3/3 done, 0 failed" in capsys.readouterr().err


@both
def test_in_real_sandboxes(kind, client, template):
    async def amain():
        async def work(sandbox, item):
            return await brig.arun_program(sandbox, item["code"], item["n"], timeout_seconds=20)

        async with brig.AsyncClient() as aclient:
            return [r async for r in brig.amap(work, items, client=aclient, template=template, ttl_seconds=60, concurrency=4)]

    double = "import json; json.dump(2 * json.load(open('input.json')), open('result.json', 'w'))"
    items = [{"id": n, "n": n, "code": double} for n in range(6)]
    items += [{"id": "none", "n": 0, "code": "pass"}, {"id": "odd", "n": 0, "code": "open('result.json', 'w').write('{')"}]
    if kind == "map":
        def work(sandbox, item):
            return brig.run_program(sandbox, item["code"], item["n"], timeout_seconds=20)

        got = list(brig.map(work, items, client=client, template=template, ttl_seconds=60, concurrency=4))
    else:
        got = asyncio.run(amain())
    assert {r.key: r.value for r in got if r.ok} == {str(n): 2 * n for n in range(6)}
    assert {r.key: r.exception.code for r in got if not r.ok} == {"none": "bad_result", "odd": "bad_result"}
