# SPDX-License-Identifier: GPL-3.0-or-later
"""When cron expressions tick, worked out by hand, and which texts are none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pachd_embedded.cron_spec import CronError, parse

# A Monday.
NOW = "2026-11-23T03:24:19"

NEXT = [
    ("* * * * *", "2026-11-23T03:25:00"),
    ("24 3 * * *", "2026-11-24T03:24:00"),
    ("*/15 * * * *", "2026-11-23T03:30:00"),
    ("7/20 * * * *", "2026-11-23T03:27:00"),
    ("10-20/5 * * * *", "2026-11-23T04:10:00"),
    ("59 23 31 12 *", "2026-12-31T23:59:00"),
    ("0 0 29 2 *", "2028-02-29T00:00:00"),
    ("0 0 31 * *", "2026-12-31T00:00:00"),
    ("0 12 * * MON", "2026-11-23T12:00:00"),
    ("0 2 * * mon", "2026-11-30T02:00:00"),
    ("0 0 * * 0", "2026-11-29T00:00:00"),
    ("0 0 * jan-mar *", "2027-01-01T00:00:00"),
    ("0 0 1,15 * *", "2026-12-01T00:00:00"),
    ("0 0 25 * wed", "2026-11-25T00:00:00"),
    ("0 0 30 * tue", "2026-11-24T00:00:00"),
    ("0 0 ? * tue", "2026-11-24T00:00:00"),
    ("0 0 */2 * tue", "2026-12-01T00:00:00"),
    ("@hourly", "2026-11-23T04:00:00"),
    ("@daily", "2026-11-24T00:00:00"),
    ("@midnight", "2026-11-24T00:00:00"),
    ("@weekly", "2026-11-29T00:00:00"),
    ("@monthly", "2026-12-01T00:00:00"),
    ("@yearly", "2027-01-01T00:00:00"),
    ("@annually", "2027-01-01T00:00:00"),
    ("@every 10s", "2026-11-23T03:24:29"),
    ("@every 1h30m", "2026-11-23T04:54:19"),
    ("@every 1.5s", "2026-11-23T03:24:20"),
    ("@every 5ms", "2026-11-23T03:24:20"),
]


@pytest.mark.parametrize("spec", ["@every 1s", "@every 2562047h", "* * * * *", "0 0 30 2 *", "@yearly"])
def test_there_is_no_tick_after_the_last_date(spec: str) -> None:
    assert parse(spec).next(datetime.max.replace(tzinfo=UTC)) is None


@pytest.mark.parametrize("duration", ["2562048h", "9223372037s", "9" * 400 + "h"])
def test_a_duration_that_is_too_long_is_none(duration: str) -> None:
    with pytest.raises(CronError, match="invalid duration"):
        parse(f"@every {duration}")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(("spec", "expected"), NEXT, ids=[spec for spec, _ in NEXT])
def test_the_next_tick(spec: str, expected: str) -> None:
    assert parse(spec).next(at(NOW)) == at(expected)


@pytest.mark.parametrize("spec", ["0 0 30 2 *", "0 0 31 4,6 *", "@never", " @never "])
def test_what_never_ticks(spec: str) -> None:
    assert parse(spec).next(at(NOW)) is None


def test_a_tick_is_after_the_time_and_not_at_it() -> None:
    assert parse("* * * * *").next(at("2026-11-23T03:25:00")) == at("2026-11-23T03:26:00")


def test_fractions_of_a_second_are_dropped() -> None:
    assert parse("@every 1s").next(at(NOW) + timedelta(milliseconds=900)) == at("2026-11-23T03:24:20")


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("", "Empty spec string"),
        ("* * * *", "Expected exactly 5 fields, found 4"),
        ("* * * * * *", "Expected exactly 5 fields, found 6"),
        ("60 * * * *", r"End of range \(60\) above maximum \(59\): 60"),
        ("* * 0 * *", r"Beginning of range \(0\) below minimum \(1\): 0"),
        ("* * * * 7", r"End of range \(7\) above maximum \(6\): 7"),
        ("5-3 * * * *", r"Beginning of range \(5\) beyond end of range \(3\): 5-3"),
        ("*/0 * * * *", r"Step of range should be a positive number: \*/0"),
        ("1-2-3 * * * *", "Too many hyphens: 1-2-3"),
        ("1/2/3 * * * *", "Too many slashes: 1/2/3"),
        ("x * * * *", "Failed to parse int from x"),
        ("-1 * * * *", "Failed to parse int from "),
        ("* * * foo *", "Failed to parse int from foo"),
        ("@soon", "Unrecognized descriptor: @soon"),
        ("@every", "Unrecognized descriptor: @every"),
        ("@every soon", "Failed to parse duration @every soon"),
        ("@every 5", "Failed to parse duration @every 5"),
    ],
)
def test_what_is_no_schedule(spec: str, text: str) -> None:
    with pytest.raises(CronError, match=text):
        parse(spec)
