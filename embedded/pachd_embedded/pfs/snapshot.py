# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the files of one commit: list, walk, glob, inspect. Directories exist because files do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ..errors import unknown
from ..file_hash import hash_of_chunks
from ..store.tree import Root, TreeStore
from .entries import Chunk, FileEntry, entry_of, parents
from .glob import Glob, GlobError


@dataclass(frozen=True, slots=True)
class FileInfo:
    """A file or a directory. `path` of a directory has no trailing slash here; the root is "/".

    `size` is in bytes, of a directory that of all files below. `hash` is 32 bytes: BLAKE2b-256 over the
    chunk ids of a file, over the hashes of the direct children of a directory.
    """

    path: str
    is_dir: bool
    datum: str
    size: int
    hash: bytes
    commit: str = ""
    chunks: tuple[Chunk, ...] = ()

    @property
    def api_path(self) -> str:
        """As the API shows it: directories end in a slash."""
        return f"{self.path}/" if self.is_dir and self.path != "/" else self.path


@dataclass(slots=True)
class _OpenDirectory:
    path: str
    size: int = 0
    hashes: list[bytes] = field(default_factory=list)


class Snapshot:
    """The files of one tree. Everything is in the order of paths, a directory before its content."""

    def __init__(self, trees: TreeStore, root: Root) -> None:
        self._trees = trees
        self._root = root

    def files(self, under: str = "/") -> Iterator[FileEntry]:
        """The files at or below a path."""
        if under == "/":
            entries: Iterable[tuple[str, object]] = self._trees.scan(self._root)
        else:
            entries = self._file_then_children(under)
        for key, value in entries:
            assert isinstance(value, list)
            yield entry_of(key, value)

    def entries(self, path: str) -> list[FileEntry]:
        """The file with exactly this path, once for each datum that wrote it."""
        return [entry_of(key, value) for key, value in self._trees.scan_prefix(self._root, f"{path}\0")]

    def inspect(self, path: str) -> FileInfo | None:
        """The file or directory, None where there is neither."""
        if path != "/" and (found := self.entries(path)):
            return _file_info(found[0])
        summaries = self._directories(path)
        return summaries.get(path)

    def children(self, path: str) -> Iterator[FileInfo]:
        """The children of a directory; of a file, itself; nothing for what does not exist."""
        if path != "/" and (found := self.entries(path)):
            yield _file_info(found[0])
            return
        prefix = "/" if path == "/" else f"{path}/"
        start: str | None = prefix
        while start is not None:
            scan = self._trees.scan(self._root, start)
            start = None
            for key, value in scan:
                if not key.startswith(prefix):
                    return
                name, slash, _rest = key[len(prefix) :].partition("/")
                if slash:
                    yield self._directories(prefix + name)[prefix + name]
                    # Past everything in that directory: "0" is the character after "/".
                    start = f"{prefix}{name}0"
                    break
                yield _file_info(entry_of(key, value))

    def walk(self, path: str) -> Iterator[FileInfo]:
        """A path and all that is below it."""
        directories = self._directories(path)
        seen: set[str] = set()
        for file in self.files(path):
            for directory in self._new_parents(file.path, seen):
                if directory in directories:
                    yield directories[directory]
            yield _file_info(file)

    def glob(self, pattern: str) -> Iterator[FileInfo]:
        """Files and directories whose path matches. Raises as pachd does for a pattern it can't read."""
        try:
            glob = Glob(pattern)
        except GlobError as error:
            raise unknown(str(error)) from None
        if glob.is_literal:
            found = self.inspect(glob.literal_prefix)
            yield from [found] if found else []
            return
        seen: set[str] = set()
        for key, value in self._trees.scan_prefix(self._root, glob.literal_prefix):
            file = entry_of(key, value)
            for directory in self._new_parents(file.path, seen):
                if directory != "/" and glob.match(directory):
                    yield self._directories(directory)[directory]
            if glob.match(file.path):
                yield _file_info(file)

    def _file_then_children(self, path: str) -> Iterator[tuple[str, object]]:
        yield from self._trees.scan_prefix(self._root, f"{path}\0")
        yield from self._trees.scan_prefix(self._root, f"{path}/")

    def _new_parents(self, path: str, seen: set[str]) -> Iterator[str]:
        """The directories above a path that were not met before, the topmost first."""
        fresh = [parent for parent in (*parents(path), "/") if parent not in seen]
        seen.update(fresh)
        return reversed(fresh)

    def _directories(self, top: str) -> dict[str, FileInfo]:
        """Every directory at or below `top`, with the size and hash of all its files."""
        done: dict[str, FileInfo] = {}
        stack: list[_OpenDirectory] = []

        def close() -> None:
            directory = stack.pop()
            digest = hash_of_chunks(directory.hashes)
            done[directory.path] = FileInfo(directory.path, True, "", directory.size, digest)
            if stack:
                stack[-1].size += directory.size
                stack[-1].hashes.append(digest)

        for file in self.files(top):
            within = [p for p in (*parents(file.path), "/") if _is_within(p, top)][::-1]
            while stack and stack[-1].path not in within:
                close()
            stack += [_OpenDirectory(path) for path in within[len(stack) :]]
            if stack:
                stack[-1].size += file.size
                stack[-1].hashes.append(file.hash)
        while stack:
            close()
        return done


def _is_within(path: str, top: str) -> bool:
    return top in ("/", path) or path.startswith(f"{top}/")


def _file_info(entry: FileEntry) -> FileInfo:
    return FileInfo(entry.path, False, entry.datum, entry.size, entry.hash, entry.commit, entry.chunks)
