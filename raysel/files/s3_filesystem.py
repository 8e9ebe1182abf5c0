"""A bucket as a `pyarrow.fs` file system, with retries, and with reads that all see one version of an object."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
from pyarrow import fs

from raysel.files.s3_client import S3Settings, client, with_retries
from raysel.files.s3_streams import BLOCK_BYTES, ObjectReader

PART_BYTES = 64 << 20
"""Longer files are put in parts of this length: S3 takes 5 GB at once."""
_CHUNK_BYTES = 1 << 18


@dataclass(frozen=True)
class S3Files(fs.FileSystemHandler):
    """What `pyarrow.fs` asks of a file system. Paths are ``bucket/key``. It travels; connections stay."""

    settings: S3Settings

    def get_type_name(self) -> str:
        """As pyarrow's own."""
        return "s3"

    def normalize_path(self, path: str) -> str:
        """Without a slash at its end."""
        return path.rstrip("/")

    def stat(self, path: str) -> tuple[int, str]:
        """(bytes, etag) of an object. FileNotFoundError if there is none."""
        answer = self._ask("head_object", path)
        return int(answer["ContentLength"]), answer["ETag"].strip('"')

    def get_file_info(self, paths: list[str]) -> list[fs.FileInfo]:
        """A name is a file if it is an object's, a folder if objects lie below it."""
        return [self._info(path) for path in paths]

    def get_file_info_selector(self, selector: fs.FileSelector) -> list[fs.FileInfo]:
        """Files, and where the listing is not recursive folders, below a folder."""
        bucket, _ = _split(selector.base_dir)
        found: list[fs.FileInfo] = []
        for page in self._pages(selector.base_dir, Delimiter="" if selector.recursive else "/"):
            found += [_file(bucket, each) for each in page.get("Contents", []) if not each["Key"].endswith("/")]
            folders = (each["Prefix"].rstrip("/") for each in page.get("CommonPrefixes", []))
            found += [fs.FileInfo(f"{bucket}/{folder}", fs.FileType.Directory) for folder in folders]
        if not found and not selector.allow_not_found and self._info(selector.base_dir).type != fs.FileType.Directory:
            raise FileNotFoundError(f"no such folder: {selector.base_dir}")
        return found

    def open_input_file(self, path: str) -> pa.NativeFile:
        """For reading at any offset. FileNotFoundError if there is no such object."""
        return self._reader(path, *self.stat(path))

    def open_input_stream(self, path: str) -> pa.NativeFile:
        """For reading from the front; one request where the object is short."""
        return self._reader(path, *self._first_block(path))

    def put_file(self, local: Path, path: str) -> None:
        """Make a local file an object: whole, or not there at all."""
        size = local.stat().st_size
        with local.open("rb") as stream:
            if size > PART_BYTES:
                self._put_parts(stream, size, path)
            else:
                self._ask("put_object", path, Body=stream.read())

    def create_dir(self, path: str, recursive: bool) -> None:
        """Nothing: in a bucket a folder is there as soon as something is in it."""

    def delete_file(self, path: str) -> None:
        """Remove an object; nothing happens where there is none."""
        self._ask("delete_object", path)

    def delete_dir_contents(self, path: str, missing_dir_ok: bool = False) -> None:
        """Remove all objects below a folder."""
        bucket, _ = _split(path)
        for page in self._pages(path):
            for each in page.get("Contents", []):
                self._ask("delete_object", f"{bucket}/{each['Key']}")

    def _refuse(self, *_: Any) -> Any:
        """What `pyarrow.fs` wants to be defined and raysel never asks for."""
        raise NotImplementedError

    copy_file = move = delete_dir = delete_root_dir_contents = open_output_stream = open_append_stream = _refuse

    def _reader(self, path: str, size: int, etag: str, first: bytes = b"") -> pa.NativeFile:
        """Every read is of the version with this etag."""
        reader = ObjectReader(lambda start, length: self._read_range(path, start, length, etag), size, first)
        return pa.PythonFile(reader, mode="r")

    def _ask(self, operation: str, path: str, **options: Any) -> Any:
        bucket, key = _split(path)
        call = getattr(client(self.settings), operation)
        return with_retries(lambda: call(Bucket=bucket, Key=key, **options), self.settings.retry_for)

    def _pages(self, folder: str, **options: Any) -> Iterator[dict[str, Any]]:
        """The pages of a listing of what lies below a folder."""
        bucket, key = _split(folder)
        options |= {"Bucket": bucket, "Prefix": f"{key}/" if key else ""}
        call = client(self.settings).list_objects_v2
        while True:
            page = with_retries(lambda: call(**options), self.settings.retry_for)
            yield page
            if not page.get("IsTruncated"):
                return
            options["ContinuationToken"] = page["NextContinuationToken"]

    def _info(self, path: str) -> fs.FileInfo:
        _, key = _split(path)
        if key:
            with suppress(FileNotFoundError):
                return fs.FileInfo(path, fs.FileType.File, size=self.stat(path)[0])
        below = next(self._pages(path, MaxKeys=1))
        return fs.FileInfo(path, fs.FileType.Directory if below.get("KeyCount") or not key else fs.FileType.NotFound)

    def _first_block(self, path: str) -> tuple[int, str, bytes]:
        """(bytes, etag) of an object, and its first bytes."""
        bucket, key = _split(path)

        def ask() -> tuple[int, str, bytes]:
            try:
                answer = client(self.settings).get_object(Bucket=bucket, Key=key, Range=f"bytes=0-{BLOCK_BYTES - 1}")
            except client(self.settings).exceptions.ClientError as error:
                if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") != 416:
                    raise
                return *self.stat(path), b""  # an empty object has no first byte
            with answer["Body"] as body:
                content = body.read()
            size = answer.get("ContentRange", f"/{len(content)}").rpartition("/")[2]
            return int(size), answer["ETag"].strip('"'), content

        return with_retries(ask, self.settings.retry_for)

    def _read_range(self, path: str, start: int, length: int, etag: str) -> bytes:
        """Exactly these bytes. What was lost in the middle is asked for again from there.

        Raises:
            OSError: fewer bytes are there, or the object has changed since this etag.
        """
        bucket, key = _split(path)
        got = io.BytesIO()

        def receive() -> None:
            if got.tell() == length:
                return  # the fault came after the last byte
            missing = f"bytes={start + got.tell()}-{start + length - 1}"
            answer = client(self.settings).get_object(Bucket=bucket, Key=key, Range=missing, IfMatch=f'"{etag}"')
            with answer["Body"] as body:
                while chunk := body.read(_CHUNK_BYTES):
                    got.write(chunk)

        with_retries(receive, self.settings.retry_for)
        if got.tell() < length:
            raise OSError(f"the object ends before byte {start + length}")
        return got.getvalue()

    def _put_parts(self, stream: IO[bytes], size: int, path: str) -> None:
        upload = self._ask("create_multipart_upload", path)["UploadId"]
        try:
            parts: list[dict[str, Any]] = []
            while content := stream.read(PART_BYTES):
                number = len(parts) + 1
                answer = self._ask("upload_part", path, UploadId=upload, PartNumber=number, Body=content)
                parts.append({"PartNumber": number, "ETag": answer["ETag"]})
            self._complete(path, upload, parts, size)
        except BaseException:
            with suppress(OSError):
                self._ask("abort_multipart_upload", path, UploadId=upload)
            raise

    def _complete(self, path: str, upload: str, parts: list[dict[str, Any]], size: int) -> None:
        try:
            self._ask("complete_multipart_upload", path, UploadId=upload, MultipartUpload={"Parts": parts})
        except OSError as error:
            # The first request was done, its answer was lost, and the second found nothing left to do.
            if "NoSuchUpload" not in str(error) or self.stat(path)[0] != size:
                raise


def _split(path: str) -> tuple[str, str]:
    bucket, _, key = path.strip("/").partition("/")
    return bucket, key


def _file(bucket: str, entry: dict[str, Any]) -> fs.FileInfo:
    path = f"{bucket}/{entry['Key']}"
    return fs.FileInfo(path, fs.FileType.File, size=int(entry["Size"]), mtime=entry["LastModified"])
