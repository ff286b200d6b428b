# SPDX-License-Identifier: Apache-2.0
"""Bodies that are no good JSON, or not what an operation takes."""

from __future__ import annotations

import time

import pytest

from breezeblock.api.body import parse
from breezeblock.api.wire import RequestHead
from breezeblock.model.errors import Malformed
from tests.api.asgi import Client

BOMBS = {
    "deep arrays": b'{"volume":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "deep objects": b'{"volume":' + b'{"a":' * 15_000 + b"1" + b"}" * 15_000 + b"}",
    "a huge integer": b'{"volume":{"size":' + b"9" * 100_000 + b"}}",
    "a long integer": b'{"volume":{"size":' + b"9" * 30 + b"}}",
    "a huge exponent": b'{"volume":{"size":1e999999}}',
    "duplicate keys": b'{"volume":{"size":1,"size":2}}',
    "duplicate outer keys": b'{"volume":{"size":1},"volume":{"size":2}}',
    "duplicate keys by escape": b'{"volume":{"size":1,"\\u0073ize":2}}',
    "not a number": b'{"volume":{"size":NaN}}',
    "infinity": b'{"volume":{"size":Infinity}}',
    "bytes that are not UTF-8": b'{"volume":{"size":1,"name":"\xff\xfe"}}',
    "a lone surrogate": b'{"volume":{"size":1,"name":"\\ud800"}}',
    "a lone surrogate in a key": b'{"volume":{"size":1,"metadata":{"\\udfff":"x"}}}',
    "a NUL in a name": b'{"volume":{"size":1,"name":"a\\u0000b"}}',
    "a NUL in a hint": b'{"volume":{"size":1},"OS-SCH-HNT:scheduler_hints":{"a":{"b":["\\u0000"]}}}',
    "a raw control character": b'{"volume":{"size":1,"name":"a\nb"}}',
    "a byte order mark": b'\xef\xbb\xbf{"volume":{"size":1}}',
    "UTF-16": '{"volume":{"size":1}}'.encode("utf-16"),
    "two documents": b'{"volume":{"size":1}} {}',
    "a comma too many": b'{"volume":{"size":1,}}',
    "single quotes": b"{'volume':{'size':1}}",
    "half a document": b'{"volume":{"size":1',
    "nothing": b"",
    "blanks": b"   ",
    "a number": b"1",
    "a string": b'"volume"',
}


@pytest.mark.parametrize("raw", BOMBS.values(), ids=BOMBS.keys())
def test_a_hostile_body_is_400(client: Client, raw: bytes) -> None:
    answer = client.post("/v3/volumes", raw=raw)
    assert (answer.status, answer.fault[0]) == (400, "badRequest")
    assert len(answer.body) < 1000
    assert client.get("/v3/volumes").json() == {"volumes": []}


def test_a_refusal_names_the_field_and_what_it_takes(client: Client) -> None:
    message = client.post("/v3/volumes", {"volume": {"size": "many"}}).fault[1]
    assert "volume.size" in message
    message = client.post("/v3/volumes", {"volume": {"size": 1, "metadata": {"k": 5}}}).fault[1]
    assert "volume.metadata" in message
    assert "str" in message


def test_a_refusal_names_the_key_that_is_missing_and_those_there_are(client: Client) -> None:
    message = client.post("/v3/volumes", {"volumes": {}}).fault[1]
    assert "'volume'" in message
    assert "'volumes'" in message


@pytest.mark.parametrize(
    "body", [{}, {"os-reserve": None, "os-unreserve": None}, {"os-nothing": None}, [], None, "os-reserve"]
)
def test_an_action_body_that_is_not_one_known_action_is_400(client: Client, body: object) -> None:
    answer = client.post("/v3/volumes/5d7e9c53-7a6b-4d5b-9d1b-1c2d3e4f5a6b/action", body)
    assert (answer.status, answer.fault[0]) == (400, "badRequest")


def test_an_action_of_a_later_version_is_404(client: Client) -> None:
    path, body = "/v3/volumes/5d7e9c53-7a6b-4d5b-9d1b-1c2d3e4f5a6b/action", {"revert": {"snapshot_id": "x"}}
    assert "microversion" in client.at("3.39").post(path, body).fault[1]
    assert "microversion" not in client.at("3.40").post(path, body).fault[1]


def test_a_key_given_twice_among_thousands_is_found_in_one_pass() -> None:
    body = b"{" + b",".join(b'"%x":0' % i for i in range(50_000)) + b',"c34f":1}'
    began = time.process_time()
    with pytest.raises(Malformed, match="'c34f' is given twice"):
        parse(body)
    assert time.process_time() - began < 2.0, "its square took half a minute"


def test_a_length_with_thousands_of_zeros_is_a_number() -> None:
    assert RequestHead([(b"content-length", b"0" * 5000 + b"7")]).length == 7
    assert RequestHead([(b"content-length", b"0" * 5000)]).length == 0
