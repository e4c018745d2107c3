# SPDX-License-Identifier: GPL-3.0-or-later
"""When a cron input ticks: the expressions that pachd takes, which are those of the Go library robfig/cron.

Five fields (minute, hour, day of month, month, day of week) of numbers, names, `*`, `?`, ranges, lists and
steps; or a descriptor: @yearly, @monthly, @weekly, @daily, @hourly, @every DURATION, and Pachyderm's @never.
Times are UTC, in which pachd's own container lives. Texts of errors are the library's; not verified.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_MONTHS = {name.lower(): number for number, name in enumerate(calendar.month_abbr) if name}
_DAYS = {name.lower(): (number + 1) % 7 for number, name in enumerate(calendar.day_abbr)}  # 0 is Sunday
# Least, greatest and names of each field's values.
_FIELDS: tuple[tuple[int, int, dict[str, int]], ...] = (
    *((0, 59, {}), (0, 23, {}), (1, 31, {})),
    *((1, 12, _MONTHS), (0, 6, _DAYS)),
)
_DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
# A date that does not come in so many years (February 30) does not come.
_YEARS = 5
# Of a duration of Go, whose nanoseconds are 64 bits.
_MAX_SECONDS = (2**63 - 1) / 1e9


class CronError(ValueError):
    """The expression is no cron expression; the text says why."""


@dataclass(frozen=True)
class Every:
    """Ticks `seconds` after the last one, on full seconds."""

    seconds: int

    def next(self, after: datetime) -> datetime | None:
        try:
            return after.replace(microsecond=0) + timedelta(seconds=self.seconds)
        except OverflowError:  # later than there are dates
            return None


@dataclass(frozen=True)
class Never:
    def next(self, after: datetime) -> datetime | None:
        return None


@dataclass(frozen=True)
class Calendar:
    """Ticks at each minute that fits all fields. `any_day` is whether either field of days was a star."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool

    def next(self, after: datetime) -> datetime | None:
        """The first fitting minute after a time; None when there is none."""
        try:
            return self._next(after)
        except OverflowError:  # later than there are dates
            return None

    def _next(self, after: datetime) -> datetime | None:
        now = after.astimezone(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
        last_year = now.year + _YEARS
        while now.year <= last_year:
            if now.month not in self.months:
                now = (now.replace(day=1, hour=0, minute=0) + timedelta(days=32)).replace(day=1)
            elif not self._fits_day(now):
                now = now.replace(hour=0, minute=0) + timedelta(days=1)
            elif now.hour not in self.hours:
                now = now.replace(minute=0) + timedelta(hours=1)
            elif now.minute not in self.minutes:
                now += timedelta(minutes=1)
            else:
                return now
        return None

    def _fits_day(self, day: datetime) -> bool:
        """Both fields of days must fit where one is a star; else one of them is enough."""
        fits = (day.day in self.days, day.isoweekday() % 7 in self.weekdays)
        return all(fits) if self.any_day else any(fits)


Schedule = Every | Never | Calendar


def parse(text: str) -> Schedule:
    """Raises CronError."""
    if text.strip() == "@never":
        return Never()
    if not text:
        raise CronError("Empty spec string")
    if text.startswith("@every "):
        return Every(max(1, int(_duration(text.removeprefix("@every ")))))
    if text.startswith("@"):
        if text not in _DESCRIPTORS:
            raise CronError(f"Unrecognized descriptor: {text}")
        text = _DESCRIPTORS[text]
    fields = text.split()
    if len(fields) != len(_FIELDS):
        raise CronError(f"Expected exactly {len(_FIELDS)} fields, found {len(fields)}: {text}")
    minutes, hours, days, months, weekdays = (
        _values(field, *bounds) for field, bounds in zip(fields, _FIELDS, strict=True)
    )
    any_day = any(part[0] in "*?" for field in (fields[2], fields[4]) for part in field.split(",") if part)
    return Calendar(minutes, hours, days, months, weekdays, any_day)


def _values(field: str, least: int, greatest: int, names: dict[str, int]) -> frozenset[int]:
    found: set[int] = set()
    for part in filter(None, field.split(",")):
        found |= _range(part, least, greatest, names)
    return frozenset(found)


def _range(part: str, least: int, greatest: int, names: dict[str, int]) -> set[int]:
    """What `3`, `*`, `1-5`, `*/2`, `1-9/3` or `4/2` stands for, which goes up to the greatest value."""
    bounds, slash, step_text = part.partition("/")
    ends = bounds.split("-")
    if "/" in step_text:
        raise CronError(f"Too many slashes: {part}")
    if len(ends) > 2:
        raise CronError(f"Too many hyphens: {part}")
    if ends[0] in ("*", "?"):
        start, end = least, greatest
    else:
        start = _number(ends[0], names)
        end = greatest if slash and len(ends) == 1 else _number(ends[-1], names)
    step = _number(step_text, {}) if slash else 1
    if start < least:
        raise CronError(f"Beginning of range ({start}) below minimum ({least}): {part}")
    if end > greatest:
        raise CronError(f"End of range ({end}) above maximum ({greatest}): {part}")
    if start > end:
        raise CronError(f"Beginning of range ({start}) beyond end of range ({end}): {part}")
    if step == 0:
        raise CronError(f"Step of range should be a positive number: {part}")
    return set(range(start, end + 1, step))


def _number(text: str, names: dict[str, int]) -> int:
    if text.lower() in names:
        return names[text.lower()]
    if not re.fullmatch("[+-]?[0-9]{1,18}", text):
        raise CronError(f'Failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax')
    if int(text) < 0:
        raise CronError(f"Negative number ({int(text)}) not allowed: {text}")
    return int(text)


def _duration(text: str) -> float:
    """Seconds of a Go duration such as 90s or 1h30m."""
    parts = _DURATION.findall(text)
    if text == "0":
        return 0.0
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise CronError(f'Failed to parse duration @every {text}: time: invalid duration "{text}"')
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if seconds > _MAX_SECONDS:
        raise CronError(f'Failed to parse duration @every {text}: time: invalid duration "{text}"')
    return seconds
