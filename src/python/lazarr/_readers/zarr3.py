"""What zarr-python 3 is given: a store that reads one array's files, and compressors that are bounded.
Importing this needs zarr-python 3."""
from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, AsyncIterator, Callable, Iterable, Optional

import zarr
import zarr.registry
from zarr.abc.codec import BytesBytesCodec
from zarr.abc.store import OffsetByteRequest, RangeByteRequest, Store, SuffixByteRequest

from . import codecs, unpack
from .zarr_open import Folder


class Folder3(Store):
    """One array, v2 or v3: its checked metadata, and its files through `read`."""

    supports_writes = supports_deletes = supports_partial_writes = supports_listing = False

    def __init__(self, read: Callable[..., Optional[bytes]], plan: Any):
        super().__init__(read_only=True)
        v2 = isinstance(plan, codecs.Plan)
        self._document_name = ".zarray" if v2 else "zarr.json"
        self._document = json.dumps(plan.meta).encode()
        self._get: Callable[..., Optional[bytes]] = Folder(read, plan).chunk if v2 else read
        self._whole = v2  # chunks are unpacked: there are no parts of them

    def __eq__(self, other: object) -> bool:
        return self is other

    def _bytes(self, key: str, part: Any) -> Optional[bytes]:
        if key == self._document_name:
            data: Optional[bytes] = self._document
        elif key.rpartition("/")[2] in (".zarray", ".zattrs", ".zgroup", ".zmetadata", "zarr.json"):
            return None
        elif part is None or self._whole:
            data = self._get(key)
        elif isinstance(part, RangeByteRequest):
            return self._get(key, part.start, part.end - part.start)
        elif isinstance(part, SuffixByteRequest):
            return self._get(key, -part.suffix, part.suffix)
        else:
            return self._get(key, part.offset)
        if part is None or data is None:
            return data
        if isinstance(part, RangeByteRequest):
            return data[part.start:part.end]
        return data[part.offset:] if isinstance(part, OffsetByteRequest) else data[-part.suffix:]

    async def get(self, key: str, prototype: Any = None, byte_range: Any = None) -> Any:
        data = self._bytes(key, byte_range)
        if data is None:
            return None
        if prototype is None:
            from zarr.core.buffer import default_buffer_prototype
            prototype = default_buffer_prototype()
        return prototype.buffer.from_bytes(data)

    async def get_partial_values(self, prototype: Any, key_ranges: Iterable[tuple[Any, ...]]) -> list[Any]:
        return [await self.get(key, prototype, part) for key, part in key_ranges]

    async def exists(self, key: str) -> bool:
        return self._bytes(key, None) is not None

    async def set(self, key: str, value: Any, byte_range: Any = None) -> None:
        raise PermissionError("the file is only read")

    async def set_partial_values(self, key_start_values: Any) -> None:
        raise PermissionError("the file is only read")

    async def delete(self, key: str) -> None:
        raise PermissionError("the file is only read")

    async def list(self) -> AsyncIterator[str]:
        yield self._document_name

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        if self._document_name.startswith(prefix):
            yield self._document_name

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        if not prefix:
            yield self._document_name


@dataclass(frozen=True)
class Bounded(BytesBytesCodec):
    """A compressor that unpacks to at most `limit` bytes."""

    is_fixed_size = False

    kind: str
    limit: int
    config: dict[Any, Any]

    @classmethod
    def from_dict(cls, data: dict[Any, Any]) -> "Bounded":
        return cls(**data["configuration"])

    def to_dict(self) -> dict[Any, Any]:
        return {"name": codecs.BOUNDED, "configuration": {"kind": self.kind, "limit": self.limit,
                                                          "config": self.config}}

    def _decode_sync(self, chunk_bytes: Any, chunk_spec: Any) -> Any:
        data = unpack.unpack(self.kind, chunk_bytes.to_bytes(), self.limit, self.config)
        return chunk_spec.prototype.buffer.from_bytes(bytes(data))

    async def _decode_single(self, chunk_bytes: Any, chunk_spec: Any) -> Any:
        import asyncio
        return await asyncio.to_thread(self._decode_sync, chunk_bytes, chunk_spec)

    async def _encode_single(self, chunk_bytes: Any, chunk_spec: Any) -> Any:
        raise PermissionError("the file is only read")

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: Any) -> int:
        raise NotImplementedError


zarr.registry.register_codec(codecs.BOUNDED, Bounded)


def open_array(read: Callable[..., Optional[bytes]], plan: Any) -> Any:
    return zarr.open_array(store=Folder3(read, plan), mode="r",
                           zarr_format=2 if isinstance(plan, codecs.Plan) else 3)
