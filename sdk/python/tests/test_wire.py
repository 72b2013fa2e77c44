"""Addresses, events, errors and retries, without a network."""

from __future__ import annotations

import json
import random

import httpx
import pytest

import brig
from brig import _wire, errors
from brig._fields import time_of


@pytest.mark.parametrize(
    "given, env, url, socket",
    [
        ("http://h:1", {}, "http://h:1", None),
        ("https://h/v1/", {}, "https://h", None),
        ("http://h/sub/v1", {}, "http://h/sub", None),
        ("unix:///run/x", {}, "http://brig", "/run/x"),
        ("/run/x", {"BRIG_API": "http://other"}, "http://brig", "/run/x"),
        (None, {"BRIG_API": "http://h"}, "http://h", None),
        (None, {"BRIG_STATE": "/s"}, "http://brig", "/s/api.sock"),
    ],
)
def test_address(given, env, url, socket):
    assert _wire.address_of(given, env) == _wire.Address(url, socket)


def test_bad_address():
    with pytest.raises(brig.BadRequestError) as error:
        _wire.address_of("localhost:80", {})
    assert error.value.fix


def test_path():
    assert _wire.path("sandboxes", "a/b ?é", "fs") == "/v1/sandboxes/a%2Fb%20%3F%C3%A9/fs"


EVENTS = 'event: stdout\ndata: {"chunk":"é\u0085\u2028\\n"}\n\n: ping\n\ndata: [1,\ndata: 2]\r\n\r\nevent: exit\ndata: {}\n\ndata: cut'
WANTED = [("stdout", {"chunk": "é\u0085\u2028\n"}), ("", [1, 2]), ("exit", {})]


@pytest.mark.parametrize("seed", range(20))
def test_events_in_any_pieces(seed):
    data, cut, parser, got = EVENTS.encode(), random.Random(seed), _wire.EventParser(), []
    while data:
        n = cut.randint(1, 9)
        got += [(e.name, e.data) for e in parser.feed(data[:n])]
        data = data[n:]
    assert got == WANTED


@pytest.mark.parametrize("value, wanted", [(None, None), ("", None), ("2", 2.0), ("-1", 0.0), ("soon", None), ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0)])
def test_retry_after(value, wanted):
    assert _wire.retry_after(value) == wanted


@pytest.mark.parametrize(
    "text, wanted",
    [
        ("2026-11-22T09:20:00Z", (2026, 11, 22, 9, 20, 0, 0)),
        ("2026-11-22T09:20:00.934796123Z", (2026, 11, 22, 9, 20, 0, 934796)),
        ("2026-11-22T11:20:00.5+02:00", (2026, 11, 22, 9, 20, 0, 500000)),
    ],
)
def test_times(text, wanted):
    when = time_of({"at": text}, "at")
    assert (when.year, when.month, when.day, when.hour, when.minute, when.second, when.microsecond) == wanted


@pytest.mark.parametrize("value", [None, 5, "", "yesterday", "2026-13-99T00:00:00Z"])
def test_no_time(value):
    assert time_of({"at": value}, "at") is None


def client(answers, requests):
    """A client whose server gives these answers in turn; an exception is raised."""

    def answer(request):
        requests.append(request)
        given = answers.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    return brig.Client(http=httpx.Client(base_url="http://brig", transport=httpx.MockTransport(answer)))


def refusal(status, **headers):
    body = {"error": "cannot X: because Y", "code": "c", "fix": "do Z", "request_id": "r"}
    return httpx.Response(status, json=body, headers=headers)


MADE = {"id": "s", "status": "running", "template": "t"}


def test_create_is_sent_again_with_one_key():
    requests = []
    answers = [refusal(429, **{"Retry-After": "0"}), httpx.ConnectError("no"), httpx.ReadError("lost"), httpx.Response(201, json=MADE)]
    assert client(answers, requests).sandboxes.create("t", metadata={"n": 1, "b": False, "none": None}).id == "s"
    assert len({r.headers["Idempotency-Key"] for r in requests}) == 1 and len(requests) == 4
    assert json.loads(requests[0].content) == {"template": "t", "metadata": {"n": "1", "b": "false"}}


@pytest.mark.parametrize("error", [httpx.ReadError("lost"), httpx.ReadTimeout("slow"), httpx.RemoteProtocolError("cut")])
def test_a_program_is_never_run_twice(error):
    requests = []
    sandbox = brig.Sandbox(client([error], requests), brig.SandboxInfo.from_json(MADE))
    with pytest.raises(brig.APIConnectionError):
        sandbox.exec("true")
    assert len(requests) == 1


def test_delete_whose_answer_was_lost():
    requests = []
    client([httpx.ReadError("lost"), refusal(404)], requests).sandboxes.delete("s")
    assert len(requests) == 2
    with pytest.raises(brig.NotFoundError):
        client([refusal(404)], []).sandboxes.delete("s")


def test_giving_up():
    requests = []
    with pytest.raises(brig.APIConnectionError) as error:
        client([httpx.ConnectError("refused")] * 9, requests).sandboxes.list()
    assert len(requests) == 3 and error.value.fix
    with pytest.raises(brig.ExhaustedError) as full:
        client([refusal(429, **{"Retry-After": "9999"})], []).sandboxes.list()
    assert full.value.retry_after == 9999


@pytest.mark.parametrize(
    "status, kind",
    [
        (400, errors.BadRequestError), (401, errors.AuthError), (403, errors.AuthError), (404, errors.NotFoundError),
        (409, errors.ConflictError), (413, errors.BadRequestError), (429, errors.ExhaustedError), (500, errors.ServerError),
        (501, errors.UnsupportedError), (504, errors.ServerError),
    ],
)
def test_error_classes(status, kind):
    with pytest.raises(errors.BrigError) as error:
        client([refusal(status)], []).sandboxes.list()
    e = error.value
    assert type(e) is kind
    assert (e.message, e.code, e.fix, e.status_code, e.request_id) == ("cannot X: because Y", "c", "do Z", status, "r")
    assert str(e) == "cannot X: because Y (do Z)"


@pytest.mark.parametrize("answer", [httpx.Response(502, text="<html>"), httpx.Response(500, json=["x"]), httpx.Response(500)])
def test_errors_of_others(answer):
    with pytest.raises(errors.ServerError, match="status 50"):
        client([answer] * 3, []).sandboxes.list()


def test_an_answer_that_is_no_json():
    with pytest.raises(errors.ServerError):
        client([httpx.Response(200, text="hello")], []).sandboxes.list()


def test_a_stream_without_an_end():
    answer = httpx.Response(200, text='event: stdout\ndata: {"chunk":"x"}\n\n')
    sandbox = brig.Sandbox(client([answer], []), brig.SandboxInfo.from_json(MADE))
    with pytest.raises(brig.StreamInterrupted):
        sandbox.exec_stream("true")


def test_output_goes_on_after_a_lost_connection():
    requests = []

    def events(*parts):
        return httpx.Response(200, text="".join(f"event: {n}\ndata: {json.dumps(d)}\n\n" for n, d in parts))

    answers = [
        events(("stdout", {"offset": 0, "base64": "YWI="})),
        httpx.ReadError("lost"),
        events(("stderr", {"offset": 2, "base64": "Yw=="}), ("stdout", {"offset": 7, "base64": "ZA=="}), ("exit", {"exit_code": 3})),
    ]
    sandbox = brig.Sandbox(client(answers, requests), brig.SandboxInfo.from_json(MADE))
    process = sandbox.process("p")
    got = [(o.stream, o.data, o.offset, o.lost) for o in process.output()]
    assert got == [("stdout", b"ab", 0, 0), ("stderr", b"c", 2, 0), ("stdout", b"d", 7, 4)]
    assert [r.url.params["offset"] for r in requests] == ["0", "2", "2"]
    assert process.info.result.exit_code == 3 and process.wait().exit_code == 3
