# SPDX-License-Identifier: GPL-3.0-or-later
"""Draw one table and one picture from the scores of all data sets.

Usage: leaderboard.py INPUT_DIRECTORY OUTPUT_DIRECTORY

Reads the <name>.json files that train.py writes; writes leaderboard.md, a Markdown table that reads well as
plain text in 80 columns, and leaderboard.png, a bar for each model's score.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

HEADER = ("data set", "samples", "best model", "metric", "score")


def read_results(directory: Path) -> list[dict[str, Any]]:
    """The results of all data sets, in the order of their names."""
    paths = sorted(directory.glob("*.json"))
    results = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    if not results:
        raise SystemExit(f"no .json file in {directory}")
    return results


def table(results: list[dict[str, Any]]) -> str:
    """A Markdown table with padded columns: each data set's best model, mean and deviation of its folds."""
    rows: list[tuple[str, ...]] = [HEADER]
    for result in results:
        best = result["results"][0]
        score = f"{best['mean']:.3f} +- {best['std']:.3f}"
        rows.append((result["dataset"], str(result["samples"]), best["model"], result["metric"], score))
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    lines.insert(1, " | ".join("-" * width for width in widths))
    return "".join(f"| {line} |\n" for line in lines)


def picture(results: list[dict[str, Any]], path: Path) -> None:
    """One group of bars a data set, one bar a model, with the deviation of the folds."""
    figure, axes = pyplot.subplots(figsize=(9, 1 + 1.1 * len(results)), layout="constrained")
    models = sorted({score["model"] for result in results for score in result["results"]})
    for model in models:
        bars = [
            (row + 0.26 * (rank - 1), score["mean"], score["std"])
            for row, result in enumerate(results)
            for rank, score in enumerate(result["results"])
            if score["model"] == model
        ]
        places, means, deviations = zip(*bars, strict=True)
        axes.barh(places, means, xerr=deviations, height=0.24, label=model)
    axes.set_yticks(range(len(results)), [f"{result['dataset']}\n({result['metric']})" for result in results])
    axes.invert_yaxis()
    axes.set_xlabel("cross-validated score: mean and deviation of the folds")
    figure.legend(loc="outside lower center", ncols=len(models), frameon=False)
    # Without the version of the library in it, the same scores give the same bytes.
    figure.savefig(path, dpi=100, metadata={"Software": None})
    pyplot.close(figure)


def main() -> None:
    """Write the table and the picture."""
    if len(sys.argv) != 3:
        raise SystemExit("usage: leaderboard.py INPUT_DIRECTORY OUTPUT_DIRECTORY")
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    results = read_results(source)
    text = table(results)
    (target / "leaderboard.md").write_text(text, encoding="utf-8")
    picture(results, target / "leaderboard.png")
    print(text, end="")


if __name__ == "__main__":
    main()
