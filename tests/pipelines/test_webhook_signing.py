"""Signatures, by the published vectors; the schedule; what endpoints subscribe to."""

import base64
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huntaze.pipelines.webhooks.patterns import is_pattern, wants
from huntaze.pipelines.webhooks.schedule import (
    ATTEMPTS,
    DELAYS_S,
    MOST_WAIT_S,
    Outcome,
    is_failing_for_good,
    judge,
    retry_after,
)
from huntaze.pipelines.webhooks.signing import BadSignature, derive_secret, key_id, key_of, signed_headers, verify

Vectors = dict[str, Any]
NOW = datetime(2026, 11, 2, 10, 30, tzinfo=UTC)


@pytest.fixture
def vectors(shared: Callable[[str], Path]) -> Vectors:
    return json.loads(shared("data/webhooks/webhook_vectors.json").read_text())  # type: ignore[no-any-return]


def headers_of(vector: Vectors) -> dict[str, str]:
    stamp = str(vector["timestamp"])
    return {"webhook-id": vector["id"], "webhook-timestamp": stamp, "webhook-signature": vector["signature"]}


def test_what_is_signed_is_what_was_published(vectors: Vectors) -> None:
    symmetric = [one for one in vectors["positive"] if one["signature"].startswith("v1,")]
    assert len(symmetric) == 5, "v1a, with a key pair, is not offered"
    for vector in symmetric:
        secrets, body = vector.get("secrets") or [vector["secret"]], vector["payload"].encode()
        assert signed_headers(secrets, vector["id"], vector["timestamp"], body) == headers_of(vector), vector["name"]
        for secret in secrets:
            verify([secret], headers_of(vector), body, vector["timestamp"])


def test_what_is_wrong_is_found(vectors: Vectors) -> None:
    negative = {one["name"]: one for one in vectors["negative"]}
    good = vectors["positive"][0]
    body, secret, at = good["payload"].encode(), good["secret"], good["timestamp"]
    for name in ("one_char_changed", "wrong_version_prefix", "reserialised_body"):
        vector = negative[name]
        with pytest.raises(BadSignature):
            verify([vector["secret"]], headers_of(vector), vector["payload"].encode(), vector["timestamp"])
    for now in (at + 301, at - 301):
        with pytest.raises(BadSignature):
            verify([secret], headers_of(good), body, now)
    for now in (at + 300, at - 300):
        verify([secret], headers_of(good), body, now)
    for empty in negative["empty_secret"]["secrets"]:
        with pytest.raises(ValueError, match="not empty"):
            key_of(empty)
    for missing in negative["missing_header"]["headers"]:
        with pytest.raises(BadSignature):
            verify([secret], {name: value for name, value in headers_of(good).items() if name != missing}, body, at)


def test_a_secret_comes_of_the_fleets_key_its_salt_and_its_endpoint() -> None:
    secret = derive_secret(b"k" * 32, b"s" * 16, b"endpoint")
    assert len(key_of(secret)) == 32
    others = [(b"K" * 32, b"s" * 16, b"endpoint"), (b"k" * 32, b"S" * 16, b"endpoint"), (b"k" * 32, b"s" * 16, b"e")]
    assert secret not in [derive_secret(*other) for other in others]
    assert secret == derive_secret(b"k" * 32, b"s" * 16, b"endpoint")
    assert key_id(b"k" * 32) != key_id(b"K" * 32)


def test_hkdf_is_that_of_the_rfc() -> None:
    """RFC 5869, A.1, by the same two steps: extract, then one block of expand."""
    ikm, salt, info = b"\x0b" * 22, bytes(range(13)), bytes(range(0xF0, 0xFA))
    pseudorandom = hmac.digest(salt, ikm, "sha256")
    assert pseudorandom.hex().startswith("077709362c2e32df0ddc3f0dc47bba63")
    assert hmac.digest(pseudorandom, info + b"\x01", "sha256").hex().startswith("3cb25f25faacd57a90434f64d0362f2a")


@given(st.binary(min_size=1, max_size=64), st.binary(max_size=200), st.integers(0, 2**33))
def test_signed_and_verified(key: bytes, body: bytes, at: int) -> None:
    secret = "whsec_" + base64.b64encode(key).decode()
    headers = signed_headers([secret], "msg_1", at, body)
    verify([secret], headers, body, at)
    with pytest.raises(BadSignature):
        verify([secret], headers, body + b" ", at)
    with pytest.raises(BadSignature):
        verify([secret], headers | {"webhook-id": "msg_2"}, body, at)


def test_retry_after_as_published(vectors: Vectors) -> None:
    for case in vectors["retry_after"]:
        if "at" in case:
            moment = datetime.fromisoformat(case["at"])
            assert retry_after(case["header"], moment - timedelta(seconds=90)) == 90
            assert retry_after(case["header"], moment + timedelta(days=1)) == 0
        else:
            assert retry_after(case["header"], NOW) == case["seconds"], case
    assert [retry_after(odd, NOW) for odd in (None, "inf", "nan", "")] == [None] * 4


def test_the_schedule() -> None:
    assert DELAYS_S == (5, 300, 1800, 7200, 18000, 36000, 36000)
    for attempt, delay in enumerate(DELAYS_S, 1):
        early, late = (judge(attempt, 500, None, spread) for spread in (0.0, 0.999))
        assert early.outcome == late.outcome == Outcome.RETRY
        assert (early.delay_s, late.delay_s) == (pytest.approx(0.8 * delay), pytest.approx(1.2 * delay, rel=0.01))
    assert judge(ATTEMPTS, 500, None, 0.5).outcome == Outcome.EXHAUSTED


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, "delivered"),
        (204, "delivered"),
        (299, "delivered"),
        (301, "retry"),
        (302, "retry"),
        (400, "retry"),
        (404, "retry"),
        (410, "gone"),
        (429, "retry"),
        (500, "retry"),
        (502, "retry"),
        (None, "retry"),
        (100, "retry"),
    ],
)
def test_what_an_answer_means(status: int | None, outcome: str) -> None:
    verdict = judge(1, status, None, 0.5)
    assert verdict.outcome == outcome
    assert verdict.throttle == (status in (429, 502, 504))


@given(st.integers(1, 9), st.sampled_from([429, 500, 503]), st.floats(0, 1e9), st.floats(0, 1, exclude_max=True))
def test_retry_after_makes_a_wait_longer_only(attempt: int, status: int, asked: float, spread: float) -> None:
    without, with_it = judge(attempt, status, None, spread), judge(attempt, status, asked, spread)
    assert with_it.outcome == without.outcome
    assert with_it.delay_s == max(without.delay_s, min(asked, MOST_WAIT_S))
    assert with_it.delay_s >= (60 if status == 429 else 0)


def test_failing_for_good() -> None:
    assert not is_failing_for_good(None, NOW)
    assert not is_failing_for_good(NOW - timedelta(days=4, hours=23), NOW)
    assert is_failing_for_good(NOW - timedelta(days=5), NOW)


@pytest.mark.parametrize(
    ("patterns", "type", "wanted"),
    [
        (["*"], "video.analyzed", True),
        (["video.*"], "video.analyzed", True),
        (["video.*"], "videos.analyzed", False),
        (["invoice.*"], "invoice.payment.failed", True),
        (["invoice.payment.*"], "invoice.created", False),
        (["job.failed", "video.analyzed"], "video.analyzed", True),
        (["job.failed"], "job.failed.twice", False),
        ([], "job.failed", False),
    ],
)
def test_what_an_endpoint_wants(patterns: list[str], type: str, wanted: bool) -> None:
    assert wants(patterns, type) is wanted


def test_what_a_pattern_is() -> None:
    assert all(map(is_pattern, ["*", "video.*", "video.analyzed", "invoice.payment.*", "a_b.c1"]))
    odd = ["", "video", "**", "*.failed", "video.", ".x", "Video.x", "video.*.x", "a.b\n", "%", "a." + "b" * 70]
    assert not any(map(is_pattern, odd))
