# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests declare of the role nvidia_device_plugin: the simulated plugin, by manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "testlab/charts/nvidia-device-plugin"
ROLE = "nvidia_device_plugin"
NAMESPACE = "nvidia-device-plugin"
IMAGE = "localhost/testlab/simulated-device-plugin:1"
GPU = "nvidia.com/gpu"
OBJECTS = "Keep namespace, RuntimeClass and what the manifest declares"


def declared(**variables: Any) -> dict[str, Any]:
    standard = {
        f"{ROLE}_method": "manifest",
        f"{ROLE}_helm": "{{ testlab_helm }}",
        f"{ROLE}_chart": str(CHART),
        f"{ROLE}_chart_repository": "",
        f"{ROLE}_image": IMAGE,
        f"{ROLE}_wait": 60,
    }
    return {
        **standard,
        **{
            name if name.startswith("test_") else f"{ROLE}_{name}": value for name, value in variables.items()
        },
    }
