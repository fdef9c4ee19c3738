"""The embedded S3 server: what it serves, and above all whom it refuses."""

import asyncio
import hmac
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from urllib.parse import urlencode, urlsplit, urlunsplit

import boto3
import httpx
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials as BotoCredentials
from botocore.exceptions import ClientError

from huntaze.cli.stack import s3_gate
from huntaze.cli.stack.stores import S3Access, Stores


def s3_client(access: S3Access, **changed: str):  # type: ignore[no-untyped-def]  # boto3 has no types
    keys = {"aws_access_key_id": access.access_key, "aws_secret_access_key": access.secret_key} | changed
    config = Config(signature_version="s3v4", s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})
    return boto3.client("s3", endpoint_url=access.endpoint_url, region_name=access.region, config=config, **keys)


def presigned(access: S3Access, path: str, at: datetime, expires_s: int) -> str:
    """A GET signed at any time, which boto3 cannot do (AWS: "Authenticating Requests: Using Query Parameters")."""
    host, stamp = urlsplit(access.endpoint_url).netloc, at.strftime("%Y%m%dT%H%M%SZ")
    scope = (stamp[:8], access.region, "s3", "aws4_request")
    fields = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": "/".join((access.access_key, *scope)),
        "X-Amz-Date": stamp,
        "X-Amz-Expires": str(expires_s),
        "X-Amz-SignedHeaders": "host",
    }
    request = f"GET\n{path}\n{urlencode(fields)}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD"
    text = "\n".join(("AWS4-HMAC-SHA256", stamp, "/".join(scope), sha256(request.encode()).hexdigest()))
    key = b"AWS4" + access.secret_key.encode()
    for part in (*scope, text):
        key = hmac.digest(key, part.encode(), "sha256")
    return f"{access.endpoint_url}{path}?{urlencode(fields)}&X-Amz-Signature={key.hex()}"


def test_s3_serves_what_was_put_and_parts_of_it(stores: Stores) -> None:
    client = s3_client(stores.s3)
    client.create_bucket(Bucket="videos")
    client.put_object(Bucket="videos", Key="a/clip.mp4", Body=b"0123456789")
    answer = client.get_object(Bucket="videos", Key="a/clip.mp4", Range="bytes=2-4")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert answer["Body"].read() == b"234"


def test_s3_refuses_forged_and_expired_urls(stores: Stores) -> None:
    client = s3_client(stores.s3)
    client.create_bucket(Bucket="private")
    put = client.generate_presigned_url("put_object", Params={"Bucket": "private", "Key": "mine"}, ExpiresIn=60)
    assert httpx.put(put, content=b"secret").status_code == 200
    get = client.generate_presigned_url("get_object", Params={"Bucket": "private", "Key": "mine"}, ExpiresIn=60)
    assert httpx.get(get).content == b"secret"

    other_key = urlunsplit(urlsplit(get)._replace(path="/private/another"))
    forger = s3_client(stores.s3, aws_secret_access_key="guessed")
    forged = forger.generate_presigned_url("get_object", Params={"Bucket": "private", "Key": "mine"}, ExpiresIn=60)
    now = datetime.now(UTC)
    assert httpx.get(presigned(stores.s3, "/private/mine", now - timedelta(seconds=50), 60)).content == b"secret"
    expired = presigned(stores.s3, "/private/mine", now - timedelta(seconds=70), 60)
    unsigned = urlunsplit(urlsplit(get)._replace(query=""))
    for url in (other_key, get[:-4] + "beef", forged, expired, unsigned):
        assert httpx.get(url).status_code == 403, url
    assert httpx.put(urlunsplit(urlsplit(put)._replace(path="/private/another")), content=b"x").status_code == 403


def test_s3_hears_nobody_who_does_not_sign(stores: Stores) -> None:
    client = s3_client(stores.s3)
    client.create_bucket(Bucket="kept")
    for method, path in (
        ("POST", "/_ministack/reset"),
        ("POST", "//_ministack/reset"),
        ("POST", "/%5fministack/reset"),
        ("POST", "/_ministack/config"),
        ("GET", "/_ministack/ready"),
        ("GET", "/"),
        ("GET", "/kept"),
        ("PUT", "/another"),
        ("DELETE", "/kept"),
    ):
        assert httpx.request(method, stores.s3.endpoint_url + path).status_code == 403, (method, path)
    for wrong, code in (
        ("aws_secret_access_key", "SignatureDoesNotMatch"),
        ("aws_access_key_id", "InvalidAccessKeyId"),
    ):
        stranger = s3_client(stores.s3, **{wrong: "guessed"})
        for call in (
            stranger.list_buckets,
            lambda stranger=stranger: stranger.put_object(Bucket="kept", Key="k", Body=b"forged"),
            lambda stranger=stranger: stranger.delete_bucket(Bucket="kept"),
        ):
            with pytest.raises(ClientError, match=code):
                call()
    signed = {"Authorization": "AWS4-HMAC-SHA256 Credential=nobody"}
    assert httpx.post(f"{stores.s3.endpoint_url}/_ministack/reset", headers=signed).status_code == 403
    for path in ("/", "/kept"):
        url = presigned(replace(stores.s3, secret_key="guessed"), path, datetime.now(UTC), 60)
        for method in ("GET", "PUT", "DELETE"):
            assert httpx.request(method, url).status_code == 403, (method, path)
    assert "kept" in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}


def test_s3_hears_no_url_that_is_signed_in_another_way(stores: Stores) -> None:
    client = s3_client(stores.s3)
    client.create_bucket(Bucket="signed")
    client.put_object(Bucket="signed", Key="mine", Body=b"secret")
    older = f"AWSAccessKeyId={stores.s3.access_key}&Signature=x&Expires=9999999999"
    good = urlsplit(presigned(stores.s3, "/signed/mine", datetime.now(UTC), 60)).query
    date = good.partition("X-Amz-Date=")[2][:16]
    queries = [
        older,
        older.lower(),
        f"X-Amz-Signature=1&{older}",
        f"x-amz-signature=1&{older}",
        f"{good}&{older}",
        f"{good}&awsaccesskeyid=1",
        f"{good}&Expires=9999999999",
        f"{good}&X-Amz-Signature=1",
        f"x-amz-signature=1&{good}",
        f"{good}&x-amz-expires=600",
        good.replace("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
        good.replace("AWS4-HMAC-SHA256", "none"),
        good.replace("X-Amz-Algorithm=AWS4-HMAC-SHA256&", ""),
        good.replace("&X-Amz-Expires=60", ""),
        good.replace("X-Amz-Expires=60", "X-Amz-Expires=61"),
        good.replace("X-Amz-Expires=60", "X-Amz-Expires=-1"),
        good.replace("X-Amz-Expires=60", f"X-Amz-Expires={'9' * 5000}"),
        good.replace(date, "now"),
        good.replace("X-Amz-", "x-amz-"),
        good.partition("&X-Amz-Signature=")[0] + "&X-Amz-Signature=%C3%A9",
        good + "%ff",
    ]
    with httpx.Client(trust_env=False) as anybody:
        for query in queries:
            for method in ("GET", "PUT", "DELETE"):
                url = f"{stores.s3.endpoint_url}/signed/mine?{query}"
                answer = anybody.request(method, url, content=b"forged" if method == "PUT" else None)
                assert answer.status_code == 403, (method, query, answer.text)
    assert httpx.get(f"{stores.s3.endpoint_url}/signed/mine?{good}").content == b"secret"


def test_s3_takes_no_header_that_the_url_did_not_sign(stores: Stores) -> None:
    client = s3_client(stores.s3)
    client.create_bucket(Bucket="copies")
    client.put_object(Bucket="copies", Key="secret", Body=b"secret")
    put = client.generate_presigned_url("put_object", Params={"Bucket": "copies", "Key": "mine"}, ExpiresIn=60)
    assert httpx.put(put, headers={"x-amz-copy-source": "/copies/secret"}).status_code == 403
    assert [entry["Key"] for entry in client.list_objects_v2(Bucket="copies")["Contents"]] == ["secret"]


def test_s3_refuses_a_signature_that_is_not_ascii(stores: Stores) -> None:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{stores.s3.access_key}/{stamp[:8]}/us-east-1/s3/aws4_request"
    value = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host;x-amz-date, Signature=é"
    headers = {"Authorization": value.encode(), "x-amz-date": stamp.encode()}
    answer = httpx.get(f"{stores.s3.endpoint_url}/", headers=headers)
    assert (answer.status_code, "SignatureDoesNotMatch" in answer.text) == (403, True)


def test_s3_takes_every_way_that_a_client_signs(stores: Stores) -> None:
    client = s3_client(stores.s3)
    client.create_bucket(Bucket="shapes")
    key = "dir/a b+c=d&é~(1)'*!.mp4"
    client.put_object(Bucket="shapes", Key=key, Body=b"x", Metadata={"note": "two  blanks"}, ContentType="video/mp4")
    assert client.head_object(Bucket="shapes", Key=key)["ContentType"] == "video/mp4"
    listed = client.list_objects_v2(Bucket="shapes", Prefix="dir/a b+", Delimiter="", StartAfter="a", MaxKeys=5)
    assert [entry["Key"] for entry in listed["Contents"]] == [key]
    upload = client.create_multipart_upload(Bucket="shapes", Key=key)["UploadId"]
    part = client.upload_part(Bucket="shapes", Key=key, UploadId=upload, PartNumber=1, Body=b"y")
    done = {"Parts": [{"ETag": part["ETag"], "PartNumber": 1}]}
    client.complete_multipart_upload(Bucket="shapes", Key=key, UploadId=upload, MultipartUpload=done)
    assert client.get_object(Bucket="shapes", Key=key)["Body"].read() == b"y"
    client.copy_object(Bucket="shapes", Key="copy", CopySource={"Bucket": "shapes", "Key": key})
    client.delete_objects(Bucket="shapes", Delete={"Objects": [{"Key": key}, {"Key": "copy"}]})
    assert client.list_objects_v2(Bucket="shapes")["KeyCount"] == 0


def test_s3_refuses_a_request_signed_long_ago() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    request = AWSRequest("GET", "http://127.0.0.1:4566/kept?list-type=2&prefix=a%20b")
    S3SigV4Auth(BotoCredentials("key", "secret"), "s3", "us-east-1").add_auth(request)
    stamp = datetime.strptime(request.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    headers = [(name.lower().encode(), value.encode()) for name, value in request.headers.items()]
    scope = {
        "method": "GET",
        "path": "/kept",
        "raw_path": b"/kept",
        "query_string": b"list-type=2&prefix=a%20b",
        "headers": [*headers, (b"host", b"127.0.0.1:4566")],
    }
    assert s3_gate.refusal(scope, "key", "secret", stamp + timedelta(minutes=14)) is None
    assert s3_gate.refusal(scope, "key", "secret", stamp + timedelta(minutes=16)) == "RequestTimeTooSkewed"
    assert s3_gate.refusal(scope, "key", "secret", at) == "RequestTimeTooSkewed"
    assert s3_gate.refusal(scope | {"path": "/_ministack/reset"}, "key", "secret", stamp) == "AccessDenied"
    assert s3_gate.refusal(scope | {"raw_path": b"/other"}, "key", "secret", stamp) == "SignatureDoesNotMatch"


def test_s3_answers_the_preflight_of_a_browser(stores: Stores) -> None:
    client = s3_client(stores.s3)
    client.create_bucket(Bucket="uploads")
    rule = {"AllowedOrigins": ["http://localhost:3000"], "AllowedMethods": ["PUT"], "AllowedHeaders": ["*"]}
    client.put_bucket_cors(Bucket="uploads", CORSConfiguration={"CORSRules": [rule]})
    asks = {"Origin": "http://localhost:3000", "Access-Control-Request-Method": "PUT"}
    answer = httpx.options(f"{stores.s3.endpoint_url}/uploads/clip.mp4", headers=asks)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"


def test_s3_takes_a_refused_body_before_it_answers() -> None:
    """A server that has answered in the middle of a body closes the connection, and the next request on it fails."""
    happened: list[str] = []
    chunks = iter([{"type": "http.request", "more_body": True}, {"type": "http.request", "more_body": False}])

    async def receive() -> dict[str, object]:
        happened.append("body")
        return next(chunks)

    async def send(message: dict[str, object]) -> None:
        happened.append(str(message.get("status", "sent")))

    async def never(*_: object) -> None:
        raise AssertionError("an unsigned request went through")

    scope = {"type": "http", "method": "PUT", "path": "/kept/mine", "query_string": b"", "headers": []}
    asyncio.run(s3_gate.gated(never, "key", "secret")(scope, receive, send))
    assert happened == ["body", "body", "403", "sent"]
