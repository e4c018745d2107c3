# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the real tabular data sets that scikit-learn ships as CSV files, one file a data set.

Usage: export.py DIRECTORY [NAME ...]   (no name: all of them)

The bytes of a file are the same in each run, so a second export changes nothing in a synced repo. A file that
already holds them is left alone. The last column is `class` where the data set is to be classified, `target`
where a number is to be predicted: this is how train.py tells the two apart.
"""

from __future__ import annotations

import argparse
import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sklearn import datasets

CLASSIFICATION: dict[str, Callable[[], Any]] = {
    "breast_cancer": datasets.load_breast_cancer,
    "digits": datasets.load_digits,
    "iris": datasets.load_iris,
    "wine": datasets.load_wine,
}
REGRESSION: dict[str, Callable[[], Any]] = {
    # In the units in which it was measured, not rescaled to unit variance.
    "diabetes": lambda: datasets.load_diabetes(scaled=False),
}
NAMES = sorted({**CLASSIFICATION, **REGRESSION})


def as_csv(name: str) -> str:
    """One data set as CSV text: a header, then a row a sample; numbers in their shortest exact form."""
    if name in CLASSIFICATION:
        bunch = CLASSIFICATION[name]()
        column, targets = "class", [str(bunch.target_names[label]) for label in bunch.target]
    else:
        bunch = REGRESSION[name]()
        column, targets = "target", [f"{value:g}" for value in bunch.target]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*(feature.replace(" ", "_") for feature in bunch.feature_names), column])
    for row, target in zip(bunch.data.tolist(), targets, strict=True):
        writer.writerow([*(f"{value:.10g}" for value in row), target])
    return text.getvalue()


def write_if_new(path: Path, text: str) -> bool:
    """Write a file unless it already holds this text; True when it was written."""
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return False
    path.write_text(text, encoding="utf-8")
    return True


def main() -> None:
    """Export the named data sets and print one line for each."""
    parser = argparse.ArgumentParser(description="Write scikit-learn's data sets as CSV files.")
    parser.add_argument("directory", type=Path, help="where the CSV files go; created when missing")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; default all")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(NAMES))
    if unknown:
        parser.error(f"no such data set: {', '.join(unknown)}; there are {', '.join(NAMES)}")
    arguments.directory.mkdir(parents=True, exist_ok=True)
    for name in arguments.names or NAMES:
        text = as_csv(name)
        written = write_if_new(arguments.directory / f"{name}.csv", text)
        samples = text.count("\n") - 1
        print(f"{name}.csv: {samples} samples{'' if written else ', as it was'}")


if __name__ == "__main__":
    main()
