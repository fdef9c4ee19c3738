"""The object store on Amazon S3 and whatever speaks its protocol."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from typing import Any
from urllib.parse import quote, urlsplit

import boto3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.httpsession import URLLib3Session

from huntaze import tracing
from huntaze.clients.object_store import CHUNK, NoSuchObject, ObjectInfo, StorageAway, changed
from huntaze.pipelines.errors import Permanent
from huntaze.setting_groups import S3Settings

_GONE = {"404", "NoSuchKey", "NotFound"}
_CHANGED = {"412", "PreconditionFailed"}
_DENIED = {"403", "AccessDenied", "SignatureDoesNotMatch", "InvalidAccessKeyId"}
_NO_BUCKET = {"NoSuchBucket"}


class S3ObjectStore:
    """One bucket. Safe to share between threads; not between processes."""

    def __init__(self, settings: S3Settings, *, read_timeout_s: float = 20, attempts: int = 3) -> None:
        """`read_timeout_s`: silence after which an attempt is given up. `attempts`: the first one included."""
        secret = settings.secret_access_key
        self._bucket = settings.bucket
        self._region = settings.region
        self._attempts = attempts
        # A session of our own: boto3's module-level default is shared state.
        session = boto3.session.Session(
            aws_access_key_id=settings.access_key_id,
            aws_secret_access_key=None if secret is None else secret.get_secret_value(),
            region_name=settings.region,
        )
        self._credentials = session.get_credentials()
        self._http = URLLib3Session(timeout=(3, read_timeout_s), max_pool_connections=32)
        self._client = session.client(
            "s3",
            endpoint_url=settings.endpoint_url,
            config=Config(
                signature_version="s3v4",
                connect_timeout=3,
                read_timeout=read_timeout_s,
                retries={"mode": "standard", "total_max_attempts": attempts},
                max_pool_connections=32,
                tcp_keepalive=True,
                s3={"addressing_style": "path" if settings.endpoint_url else "auto"},
                # Newer defaults add a CRC that a browser's plain PUT to a presigned URL cannot know.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )
        self._host = urlsplit(self._client.meta.endpoint_url).hostname

    def _calling(self, operation: str) -> AbstractContextManager[None]:
        """The span of a call: no key and no URL is in it."""
        return tracing.span(f"S3.{operation}", {"server.address": self._host}, outbound=True)

    @contextmanager
    def _translated(self, key: str) -> Iterator[None]:
        """The one table from the vendor's errors to ours."""
        try:
            yield
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in _GONE:
                raise NoSuchObject(key) from error
            if code in _CHANGED:
                raise changed(key) from error
            if code in _NO_BUCKET:
                message = f"The bucket {self._bucket} does not exist; make it, or set HUNTAZE_S3_BUCKET."
                raise Permanent("storage.no_bucket", message) from error
            if code in _DENIED:
                message = f"The object store refuses these credentials for bucket {self._bucket}."
                raise Permanent("storage.denied", message) from error
            raise StorageAway(f"The object store answered {code or 'with an error'}.") from error
        except BotoCoreError as error:
            raise StorageAway(f"The object store does not answer ({type(error).__name__}).") from error

    def head(self, key: str) -> ObjectInfo:
        with self._translated(key), self._calling("HeadObject"):
            return self._plain_head(key) or _info(key, self._client.head_object(Bucket=self._bucket, Key=key))

    def _plain_head(self, key: str) -> ObjectInfo | None:
        """A HEAD past the client's machinery, which takes three times as long: the API asks before each video.

        None: the client has to ask, as the answer was no plain 200, or as more than one attempt is wanted.
        """
        if self._credentials is None or self._attempts > 1:
            return None
        request = AWSRequest("HEAD", self._address + quote(key, safe="/~"))
        S3SigV4Auth(self._credentials.get_frozen_credentials(), "s3", self._client.meta.region_name).add_auth(request)
        answer = self._http.send(request.prepare())
        if answer.status_code != 200:
            return None
        return _info(key, {name.replace("-", ""): value for name, value in answer.headers.items()})

    @cached_property
    def _address(self) -> str:
        """What stands before a key: the client knows how buckets are addressed."""
        url = self._presign("head_object", {"Bucket": self._bucket, "Key": "k"}, 60)
        return url.partition("?")[0].removesuffix("k")

    def read(self, key: str) -> bytes:
        with self._translated(key), self._calling("GetObject"):
            body: bytes = self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
            return body

    def read_range(self, key: str, start: int, end: int, *, etag: str | None = None) -> bytes:
        if end <= start:
            return b""
        condition = {} if etag is None else {"IfMatch": f'"{etag}"'}
        with self._translated(key), self._calling("GetObject"):
            answer = self._client.get_object(
                Bucket=self._bucket, Key=key, Range=f"bytes={start}-{end - 1}", **condition
            )
            body: bytes = answer["Body"].read()
            return body

    def stream(self, key: str, *, etag: str | None = None) -> Iterator[bytes]:
        condition = {} if etag is None else {"IfMatch": f'"{etag}"'}
        with self._translated(key):
            body = self._client.get_object(Bucket=self._bucket, Key=key, **condition)["Body"]
            try:
                yield from body.iter_chunks(CHUNK)
            finally:
                body.close()

    def put(self, key: str, body: bytes, content_type: str) -> ObjectInfo:
        with self._translated(key), self._calling("PutObject"):
            answer = self._client.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType=content_type)
            return ObjectInfo(key, len(body), answer["ETag"].strip('"'), content_type)

    def presign_put(self, key: str, size: int, content_type: str, expires_s: int) -> str:
        params = {"Bucket": self._bucket, "Key": key, "ContentLength": size, "ContentType": content_type}
        return self._presign("put_object", params, expires_s)

    def presign_get(self, key: str, expires_s: int) -> str:
        return self._presign("get_object", {"Bucket": self._bucket, "Key": key}, expires_s)

    def _presign(self, operation: str, params: dict[str, Any], expires_s: int) -> str:
        with self._translated(params["Key"]):  # nothing is sent, but a role's credentials may have to be fetched
            return str(self._client.generate_presigned_url(operation, Params=params, ExpiresIn=expires_s))

    def check(self) -> None:
        with self._translated(""):
            try:
                self._client.head_bucket(Bucket=self._bucket)
            except ClientError as error:
                if str(error.response.get("Error", {}).get("Code", "")) not in _GONE:
                    raise
                message = f"The bucket {self._bucket} does not exist; make it, or set HUNTAZE_S3_BUCKET."
                raise Permanent("storage.no_bucket", message) from error

    def ensure_bucket(self) -> None:
        """Makes the bucket if it is not there: for the embedded store and for tests."""
        try:
            self.check()
        except Permanent as error:
            if error.code != "storage.no_bucket":
                raise
            where = {} if self._region == "us-east-1" else {"LocationConstraint": self._region}
            extra: dict[str, Any] = {"CreateBucketConfiguration": where} if where else {}
            with self._translated(""):
                self._client.create_bucket(Bucket=self._bucket, **extra)

    def close(self) -> None:
        self._client.close()
        self._http.close()


def _info(key: str, answer: dict[str, Any]) -> ObjectInfo:
    return ObjectInfo(key, int(answer["ContentLength"]), answer["ETag"].strip('"'), answer.get("ContentType", ""))
