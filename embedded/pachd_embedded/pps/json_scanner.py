# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens of a JSON text, with errors placed and worded as Go's protojson does.

Pachd reads pipeline specs with protojson, so the line, the column and the text of its complaints are part
of what a user sees. The scanner is read token by token, because protojson reports the first thing wrong in
reading order, be it the JSON or the message.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

_SPACE = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]*)?(?![-+._a-zA-Z0-9])")
_LITERAL = re.compile(r"(?:null|true|false)(?![-+._a-zA-Z0-9])")
_BAD_VALUE = re.compile(r"[-+._a-zA-Z0-9]{1,32}|.", re.DOTALL)
_PLAIN = re.compile(r'[^"\\\x00-\x1f]*')
_HEX4 = re.compile(r"[0-9a-fA-F]{4}")
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_SCALARS = frozenset({"null", "bool", "number", "string"})
_VALUE_ENDS = _SCALARS | {"}", "]"}
_CLOSES = {"}": "{", "]": "["}


class ProtoJsonError(ValueError):
    """What protojson says of a text, with its "proto: " prefix."""

    def __init__(self, text: str) -> None:
        super().__init__("proto: " + text)


@dataclass(frozen=True, slots=True)
class Token:
    """`kind` is null, bool, number, string, name (a key), {, }, [, ] or eof; `text` is the decoded string."""

    kind: str
    pos: int
    raw: str
    text: str = ""


class Scanner:
    """Reads `source` token by token; commas and colons are checked and passed over."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._pos = 0
        self._open: list[str] = []
        self._last = ""
        self._peeked: Token | None = None

    def peek(self) -> Token:
        if self._peeked is None:
            self._peeked = self.read()
        return self._peeked

    def read(self) -> Token:
        """The next token; ProtoJsonError where it is malformed or out of place."""
        if self._peeked is not None:
            token, self._peeked = self._peeked, None
            return token
        token = self._check_place(self._scan())
        self._last = token.kind
        return self.read() if token.kind == "," else token

    def error(self, pos: int, text: str) -> ProtoJsonError:
        """An error in what the JSON means."""
        return ProtoJsonError(f"(line {self._place(pos)}): {text}")

    def syntax_error(self, pos: int, text: str) -> ProtoJsonError:
        return ProtoJsonError(f"syntax error (line {self._place(pos)}): {text}")

    def unexpected(self, token: Token) -> ProtoJsonError:
        return self.syntax_error(token.pos, f"unexpected token {token.raw}")

    def _place(self, pos: int) -> str:
        """Line and column of an offset, both from 1, counted in characters."""
        before = self._source[:pos]
        return f"{before.count(chr(10)) + 1}:{pos - before.rfind(chr(10))}"

    def _value_may_follow(self) -> bool:
        if not self._open:
            return self._last == ""
        if self._open[-1] == "{":
            return self._last == "name"
        return self._last in ("[", ",")

    def _check_place(self, token: Token) -> Token:
        kind = token.kind
        if kind == "eof":
            if self._open:
                raise ProtoJsonError("unexpected EOF")
        elif kind == ",":
            if not self._open or self._last not in _VALUE_ENDS:
                raise self.unexpected(token)
        elif kind in _CLOSES:
            if not self._open or self._open[-1] != _CLOSES[kind] or self._last in ("name", ","):
                raise self.unexpected(token)
            self._open.pop()
        elif self._value_may_follow():
            if kind in ("{", "["):
                self._open.append(kind)
        elif kind == "string" and self._last in ("{", ","):
            return self._name(token)
        else:
            raise self.unexpected(token)
        return token

    def _name(self, token: Token) -> Token:
        """A string where a key belongs, and the colon that must follow."""
        self._skip_space()
        if self._pos == len(self._source):
            raise ProtoJsonError("unexpected EOF")
        found = self._source[self._pos]
        if found != ":":
            raise self.syntax_error(self._pos, f'unexpected character {found}, missing ":" after field name')
        self._pos += 1
        return Token("name", token.pos, token.raw, token.text)

    def _skip_space(self) -> None:
        space = _SPACE.match(self._source, self._pos)
        assert space is not None
        self._pos = space.end()

    def _scan(self) -> Token:
        self._skip_space()
        start = self._pos
        if start == len(self._source):
            return Token("eof", start, "")
        char = self._source[start]
        if char in "{}[],":
            self._pos += 1
            return Token(char, start, char)
        if char == '"':
            text = self._string(start)
            return Token("string", start, self._source[start : self._pos], text)
        for pattern in (_LITERAL, _NUMBER):
            found = pattern.match(self._source, start)
            if found:
                self._pos = found.end()
                raw = found.group()
                kind = "number" if pattern is _NUMBER else "null" if raw == "null" else "bool"
                return Token(kind, start, raw)
        bad = _BAD_VALUE.match(self._source, start)
        assert bad is not None
        raise self.syntax_error(start, f"invalid value {bad.group()}")

    def _string(self, start: int) -> str:
        """Decodes the string that opens at `start` and leaves the scanner behind its closing quote."""
        parts = []
        pos = start + 1
        while True:
            plain = _PLAIN.match(self._source, pos)
            assert plain is not None
            parts.append(plain.group())
            pos = plain.end()
            if pos == len(self._source):
                raise ProtoJsonError("unexpected EOF")
            if self._source[pos] == '"':
                self._pos = pos + 1
                return "".join(parts)
            if self._source[pos] != "\\":
                char = repr(self._source[pos])
                raise self.syntax_error(start, f"invalid character {char} in string")
            char, pos = self._escape(start, pos)
            parts.append(char)

    def _escape(self, start: int, pos: int) -> tuple[str, int]:
        """The character written by the escape at `pos`, and the offset behind it."""
        code = self._source[pos + 1 : pos + 2]
        if not code:
            raise ProtoJsonError("unexpected EOF")
        if code in _ESCAPES:
            return _ESCAPES[code], pos + 2
        if code != "u":
            raise self._bad_escape(start, pos, 2)
        unit = self._hex4(start, pos)
        if not 0xD800 <= unit <= 0xDFFF:
            return chr(unit), pos + 6
        low = self._hex4(start, pos + 6)
        if unit >= 0xDC00 or not 0xDC00 <= low <= 0xDFFF:
            raise self._bad_escape(start, pos + 6, 6)
        return chr(0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00)), pos + 12

    def _hex4(self, start: int, pos: int) -> int:
        if pos + 6 > len(self._source):
            raise ProtoJsonError("unexpected EOF")
        digits = _HEX4.fullmatch(self._source, pos + 2, pos + 6)
        if not digits or self._source[pos : pos + 2] != "\\u":
            raise self._bad_escape(start, pos, 6)
        return int(digits.group(), 16)

    def _bad_escape(self, start: int, pos: int, length: int) -> ProtoJsonError:
        code = json.dumps(self._source[pos : pos + length], ensure_ascii=False)
        return self.syntax_error(start, f"invalid escape code {code} in string")
