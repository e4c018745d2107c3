# SPDX-License-Identifier: GPL-3.0-or-later
"""Cross-validate a few models on each data set of a datum, and write the scores as JSON.

Usage: train.py INPUT_DIRECTORY OUTPUT_DIRECTORY

Each <name>.csv becomes <name>.json. The last column decides the task: `class` is classified and scored
by accuracy, `target` is predicted and scored by R2 (1 is perfect, 0 no better than the mean). Seeds are
fixed and scores rounded to four digits, so the same input gives the same bytes.
"""

from __future__ import annotations

import csv
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

FOLDS = 5
SEED = 0


def read_csv(path: Path) -> tuple[str, np.ndarray, np.ndarray]:
    """Last column's name, features of shape (samples, columns), targets of shape (samples,)."""
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    if header[-1] not in ("class", "target"):
        raise SystemExit(f"{path.name}: the last column is {header[-1]!r}; name it 'class' or 'target'")
    features = np.array([row[:-1] for row in rows], dtype=float)
    targets = np.array([row[-1] for row in rows])
    return header[-1], features, targets if header[-1] == "class" else targets.astype(float)


def models(task: str) -> dict[str, Any]:
    """The models to compare, by name."""
    if task == "class":
        return {
            "logistic regression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
            "nearest neighbours": make_pipeline(StandardScaler(), KNeighborsClassifier()),
            "random forest": RandomForestClassifier(random_state=SEED),
        }
    return {
        "ridge regression": make_pipeline(StandardScaler(), Ridge()),
        "nearest neighbours": make_pipeline(StandardScaler(), KNeighborsRegressor()),
        "random forest": RandomForestRegressor(random_state=SEED),
    }


def evaluate(path: Path) -> dict[str, Any]:
    """Cross-validated scores of all models on one data set, best first."""
    task, features, targets = read_csv(path)
    split = (StratifiedKFold if task == "class" else KFold)(FOLDS, shuffle=True, random_state=SEED)
    scoring = "accuracy" if task == "class" else "r2"
    results = []
    for name, model in models(task).items():
        scores = cross_val_score(model, features, targets, cv=split, scoring=scoring, n_jobs=1)
        results.append(
            {"model": name, "mean": round(float(scores.mean()), 4), "std": round(float(scores.std()), 4)}
        )
    return {
        "dataset": path.stem,
        "samples": features.shape[0],
        "features": features.shape[1],
        "metric": "accuracy" if task == "class" else "R2",
        "folds": FOLDS,
        "gpus": visible_gpus(),
        "results": sorted(results, key=lambda result: (-result["mean"], result["model"])),
    }


def visible_gpus() -> int:
    """How many GPUs this worker was given. The models of scikit-learn compute on the CPU all the same."""
    given = os.environ.get("NVIDIA_VISIBLE_DEVICES", "").split(",")
    return len([device for device in given if device not in ("", "none", "void")])


def main() -> None:
    """Evaluate each CSV file of the input directory."""
    if len(sys.argv) != 3:
        raise SystemExit("usage: train.py INPUT_DIRECTORY OUTPUT_DIRECTORY")
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    files = sorted(source.glob("*.csv"))
    if not files:
        raise SystemExit(f"no .csv file in {source}")
    for path in files:
        result = evaluate(path)
        (target / f"{path.stem}.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        best = result["results"][0]
        print(f"{path.stem}: {best['model']} is best, {result['metric']} {best['mean']:.4f}")


if __name__ == "__main__":
    main()
