"""S3 and compatible stores: clients, retries, and errors in one line.

Requests go through boto3, and `with_retries` repeats them. Other clients were tried:

- pyarrow 26's own S3 file system sends a cut body when it repeats a put, and its retries share a quota that many
  threads use up in one outage.
- obstore 0.12.1 (object_store 0.14.2) answers a small get in a fifth of the CPU time, but cannot list a folder in which
  one key has an empty part (``a//b.jpg``), a part ``.`` or a control character. Its ``read_timeout`` includes the time
  that the sending takes: 20 MiB at 5 MiB/s never arrive if it is 2 s. It does not repeat a listing, or the end of a
  multipart put, whose answer is cut off. It hangs in a forked process, and still needs boto3 for profiles and roles.
- s3fs 2026.9.0 needs aiobotocore, whose latest version (3.10.0) excludes the botocore of boto3 1.44, and repeats a
  failed request a number of times, not for a time.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from raysel.errors import RayselError

T = TypeVar("T")

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 20.0
CONTACT_S = 5.0
"""How long the first contact may be retried: a wrong endpoint must fail within seconds."""
CONNECTIONS = 32
"""In a process's pool."""

_TRANSIENT = {"SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "Throttling", "ThrottlingException"}
_SAID = {
    "NoSuchBucket": "no such bucket",
    "InvalidAccessKeyId": "the access key is not known there",
    "SignatureDoesNotMatch": "the secret key is wrong",
    "ExpiredToken": "the session token has expired",
    "AccessDenied": "access denied: these credentials have no permission for it",
    "403": "access denied: wrong credentials, or no permission",
    "PreconditionFailed": "it was written again meanwhile",
}


_QUERY = ("region", "anonymous", "connect_timeout", "read_timeout", "retry_for")
"""Settings in a URI's query that are those of `S3Settings`."""


@dataclass(frozen=True)
class S3Settings:
    """How to reach a store. Without credentials, endpoint or region the usual AWS chain gives them (environment,
    ``AWS_ENDPOINT_URL``, profile, role). Timeouts and retries are set in a URI's query: ``?read_timeout=60``."""

    access_key: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)
    region: str | None = None
    endpoint: str | None = None
    """``http://host:port``; written ``scheme=http&endpoint_override=host:port`` in a URI, as pyarrow has it."""
    anonymous: bool = False
    """Send no credentials: for public buckets."""
    connect_timeout: float = 5.0
    """Seconds."""
    read_timeout: float = 20.0
    """Seconds without a byte after which the connection is closed and the request retried."""
    retry_for: float = 120.0
    """Seconds for which a failing request is retried, with growing random pauses, before the run fails."""


def parse_s3(uri: str) -> tuple[S3Settings, str]:
    """(settings, ``bucket/path``) of a URI ``s3://[key:secret@]bucket/path[?query]``.

    Raises:
        RayselError: no bucket in it, or an unknown or unreadable setting in its query.
    """
    parts = urlsplit(uri, allow_fragments=False)
    if "@" in parts.path and ":" in parts.netloc and "@" not in parts.netloc:
        raise RayselError("a secret key with a slash must be quoted in an S3 URI: write %2F")
    bucket = parts.netloc.rpartition("@")[2]
    if not bucket:
        raise RayselError("an S3 URI needs a bucket: s3://bucket/path")
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    scheme, host = query.pop("scheme", "https"), query.pop("endpoint_override", None)
    if host and "://" in host:
        raise RayselError("endpoint_override in the query of an S3 URI is host:port: write scheme=http separately")
    values: dict[str, Any] = {"endpoint": f"{scheme}://{host}" if host else None}
    kinds = {each.name: each.type for each in fields(S3Settings)}
    for name, text in query.items():
        if name not in _QUERY:
            raise RayselError(f"unknown setting {name!r} in the query of an S3 URI: use {', '.join(_QUERY)}")
        try:
            values[name] = text if name == "region" else text == "true" if kinds[name] == "bool" else float(text)
        except ValueError:
            raise RayselError(f"{name} in the query of an S3 URI is not a number: {text!r}") from None
    user, _, password = parts.netloc.rpartition("@")[0].partition(":")
    if user:
        values |= {"access_key": unquote(user), "secret_key": unquote(password)}
    return S3Settings(**values), f"{bucket}{parts.path}".rstrip("/")


def client(settings: S3Settings) -> Any:
    """The process's boto3 client for a store; it may be used by several threads.

    Raises:
        RayselError: no client can be made of these settings (an endpoint that is not a URL, an unknown profile).
    """
    return _client(settings, tuple(sorted(each for each in os.environ.items() if each[0].startswith("AWS_"))))


@lru_cache(maxsize=16)
def _client(settings: S3Settings, environment: tuple[tuple[str, str], ...]) -> Any:
    import boto3
    from botocore import UNSIGNED
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    own_endpoint = settings.endpoint or {"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"} & dict(environment).keys()
    config = Config(
        connect_timeout=settings.connect_timeout,
        read_timeout=settings.read_timeout,
        retries={"total_max_attempts": 1},  # `with_retries` sends again
        max_pool_connections=CONNECTIONS,
        signature_version=UNSIGNED if settings.anonymous else None,
        s3={"addressing_style": "path" if own_endpoint else "auto"},
        request_checksum_calculation="when_required",  # else servers that know no trailers take them for content
        response_checksum_validation="when_required",
    )
    try:
        return boto3.session.Session().client(
            "s3",
            endpoint_url=settings.endpoint,
            region_name=settings.region,
            aws_access_key_id=settings.access_key,
            aws_secret_access_key=settings.secret_key,
            config=config,
        )
    except (BotoCoreError, ValueError) as error:
        raise RayselError(f"cannot use S3: {error}") from None


def with_retries(action: Callable[[], T], retry_for: float) -> T:
    """Return the result of `action`; retry transient errors.

    Pauses are random between 0 and a bound that doubles from 0.2 s to 20 s (full jitter), for `retry_for` seconds in
    all since the first failure.

    Raises:
        OSError: what went wrong, in one line; FileNotFoundError where there is no such object.
    """
    started, pause, attempts = 0.0, FIRST_PAUSE_S, 0
    while True:
        try:
            return action()
        except Exception as error:
            if not is_transient(error):
                raise as_os_error(error) from error
            attempts += 1
            now = time.monotonic()
            started = started or now
            wait = random.uniform(0, pause)
            if now + wait - started > retry_for:
                tried = f" (tried {attempts} times in {now - started:.0f} s)" if attempts > 1 else ""
                raise OSError(f"{_said(error)}{tried}") from error
        time.sleep(wait)
        pause = min(2 * pause, LONGEST_PAUSE_S)


def is_transient(error: BaseException) -> bool:
    """True for transient errors: 5xx, throttling, connections that cannot be made, are reset, time out or end early."""
    from botocore import exceptions as boto
    from urllib3.exceptions import HTTPError

    if isinstance(error, boto.ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return error.response.get("Error", {}).get("Code") in _TRANSIENT or status >= 500 or status == 429
    lost = (boto.HTTPClientError, boto.ConnectionError, boto.ResponseStreamingError, boto.IncompleteReadError)
    return isinstance(error, (*lost, HTTPError, ConnectionError, TimeoutError))


def as_os_error(error: Exception) -> Exception:
    """The exception that a file system is expected to raise. Errors that do not come from the store are unchanged."""
    from botocore import exceptions as boto

    if isinstance(error, boto.ClientError):
        code = error.response.get("Error", {}).get("Code", "")
        if code in ("NoSuchKey", "404", "NotFound"):
            return FileNotFoundError("no such object")
        kind = PermissionError if code in ("AccessDenied", "403") else OSError
        return kind(_said(error))
    return OSError(_said(error)) if isinstance(error, boto.BotoCoreError) else error


def check_bucket(settings: S3Settings, path: str) -> None:
    """List one key below ``bucket/path``, so that a wrong endpoint, key or bucket fails within seconds.

    Raises:
        OSError: see `with_retries`.
    """
    hasty = replace(settings, read_timeout=min(settings.read_timeout, CONTACT_S))
    bucket, _, prefix = path.partition("/")
    with_retries(lambda: client(hasty).list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1), CONTACT_S)


def _said(error: BaseException) -> str:
    response = getattr(error, "response", None) or {}
    code = response.get("Error", {}).get("Code", "")
    if code in _SAID:
        return _SAID[code]
    endpoint = getattr(error, "kwargs", {}).get("endpoint_url", "").partition("?")[0]
    if endpoint:
        address = "/".join(endpoint.split("/")[:3])
        return f"{address} {'does not answer' if 'Timeout' in type(error).__name__ else 'cannot be reached'}"
    text = response.get("Error", {}).get("Message") or str(error)
    return " ".join(text.split())[:300] + (f" ({code})" if code else "") or type(error).__name__
