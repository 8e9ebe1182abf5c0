"""The headers of a tar: its samples, with their labels and byte ranges."""

from __future__ import annotations

import json
import posixpath
import tarfile
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple

from raysel.errors import RayselError
from raysel.files import as_utf8, suffix
from raysel.images.file_names import IMAGE_SUFFIXES, is_hidden
from raysel.images.sources.source import Shard, Walked, walked_faults, walked_images

LABEL_EXTENSIONS = ("cls", "json", "txt")
"""Extensions of members that may hold a label; an earlier one has precedence."""
MAX_LABEL_BYTES = 16 * 1024
"""Larger members are not read: they hold something else."""
MAX_LABEL_LENGTH = 200
"""Longer texts are captions, not labels."""
_LABEL_FIELDS = ("label", "class", "cls")


class TarRange(NamedTuple):
    """A byte range of a shard that is a tar: all of the shard, with an empty name, or one of its members."""

    name: str
    offset: int
    size: int


@dataclass
class Members:
    """What a tar's headers have shown so far."""

    folder: str = ""
    """For an inner tar: the prefix of its keys, and the label of its images that have none."""
    tars: list[TarRange] = field(default_factory=list)
    images: list[tuple[str, str, str, int, int]] = field(default_factory=list)
    """key, extension, member name, offset, length"""
    labels: dict[str, tuple[int, str]] = field(default_factory=dict)
    """key -> (precedence of the extension, label)"""
    faults: list[tuple[str, str]] = field(default_factory=list)
    skipped: int = 0

    def add(self, member: tarfile.TarInfo, stream: BinaryIO) -> None:
        """Record a member; the content of one that may be a label is read from `stream`."""
        name = posixpath.join(self.folder, as_utf8(member.name))
        key, extension = split_member(name)
        if is_hidden(name):
            self.skipped += 1
        elif suffix(name) == "tar" and member.isreg() and not self.folder:
            self.tars.append(TarRange(name, member.offset_data, member.size))
        elif suffix(name) in IMAGE_SUFFIXES:
            if not member.isreg() or member.issparse():
                kind = "sparse member" if member.issparse() else "link"
                self.faults.append((key, f"{name} is a {kind}, not a plain file"))
            else:
                self.images.append((key, extension, name, member.offset_data, member.size))
                if self.folder:
                    self.labels.setdefault(key, (len(LABEL_EXTENSIONS), posixpath.basename(self.folder)))
        elif extension in LABEL_EXTENSIONS and member.isreg():
            self._add_label(key, extension, member, stream)
        else:
            self.skipped += 1

    def extend(self, inner: Members) -> None:
        """Append the members of an inner tar."""
        self.images += inner.images
        self.labels |= inner.labels
        self.faults += inner.faults
        self.skipped += inner.skipped

    def _add_label(self, key: str, extension: str, member: tarfile.TarInfo, stream: BinaryIO) -> None:
        precedence = LABEL_EXTENSIONS.index(extension)
        if member.size > MAX_LABEL_BYTES or self.labels.get(key, (precedence + 1, ""))[0] <= precedence:
            return
        stream.seek(member.offset_data)
        label = _label(extension, stream.read(member.size))
        if label is not None:
            self.labels[key] = (precedence, label)

    def walked(self, shard: Shard) -> Walked:
        """The images of all members: one of each key."""
        plain = {key for key, extension, *_ in self.images if extension in IMAGE_SUFFIXES}
        kept: dict[str, tuple[str, int, int]] = {}
        skipped, faults = self.skipped, list(self.faults)
        for key, extension, name, offset, length in self.images:
            if key in plain and extension not in IMAGE_SUFFIXES:
                skipped += 1  # another field of the sample: a mask, a depth map
            elif key in kept:
                faults.append((key, f"duplicate key: {name} comes after {kept[key][0]}"))
            else:
                kept[key] = (name, offset, length)
        images = walked_images(
            list(kept),
            [self.labels[key][1] if key in self.labels else None for key in kept],
            [offset for _, offset, _ in kept.values()],
            [length for _, _, length in kept.values()],
        )
        return Walked(shard, images, skipped, walked_faults(faults))


def split_member(name: str) -> tuple[str, str]:
    """(key, extension): ``("train/0001", "seg.png")`` for the member ``train/0001.seg.png``.

    WebDataset's rule: the key ends at the first dot of the base name. The extension is in lower case.
    """
    folder, base = posixpath.split(name)
    stem, _, extension = base.partition(".")
    return posixpath.join(folder, stem), extension.lower()


def read_headers(stream: BinaryIO, shard_name: str, where: TarRange) -> Members:
    """All members of a tar. Raises RayselError if it is broken or has no proper end."""
    members, end = Members(posixpath.splitext(where.name)[0]), where.offset + where.size
    count, last = 0, "none"

    def broken(what: str) -> RayselError:
        tar = f"{shard_name} ({where.name})" if where.name else shard_name
        read = f"{count:,} members were read, the last is {last}"
        return RayselError(f"shard {tar} ({where.size:,} bytes) {what}: {read}; copy it again")

    stream.seek(where.offset)
    try:
        with tarfile.open(fileobj=stream, mode="r:", encoding="utf-8", errors="surrogateescape") as tar:
            while (member := tar.next()) is not None and tar.offset <= end:
                tar.members.clear()  # type: ignore[attr-defined]  # else every header of a 138 GB tar stays in memory
                if not member.isdir():
                    members.add(member, stream)
                count, last = count + 1, as_utf8(member.name)
            position = tar.offset
    except tarfile.TarError as error:
        raise broken(f"is broken or truncated ({error})") from error
    stream.seek(position)
    tail = stream.read(min(64 * 1024, max(0, end - position)))
    if len(tail) < tarfile.BLOCKSIZE:
        raise broken("has no end marker: it is truncated")
    if any(tail[: tarfile.BLOCKSIZE]):
        raise broken(f"has a broken header at byte {position:,}")
    if any(tail):
        raise RayselError(
            f"shard {shard_name} continues after its end marker at byte {position:,}: if tars were joined, split them"
        )
    return members


def _label(extension: str, data: bytes) -> str | None:
    """The label in a ``cls``, ``json`` or ``txt`` member; None if there is none."""
    try:
        text = data.decode("utf-8").strip()
        if extension == "json":
            return _json_label(json.loads(text))
    except ValueError:  # not UTF-8, or not JSON
        return None
    return text if text and len(text) <= MAX_LABEL_LENGTH and "\n" not in text else None


def _json_label(value: object) -> str | None:
    if isinstance(value, dict):
        value = next((value[name] for name in _LABEL_FIELDS if value.get(name) is not None), None)
    return str(value).strip() or None if isinstance(value, str | int) and not isinstance(value, bool) else None
