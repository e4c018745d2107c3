# SPDX-License-Identifier: GPL-3.0-or-later
"""The PPS API."""

from __future__ import annotations

from .pps_datums import DatumMethods
from .pps_jobs import JobMethods
from .pps_pipelines import PipelineMethods
from .pps_settings import SettingMethods


class PpsServicer(PipelineMethods, JobMethods, DatumMethods, SettingMethods):
    """Made of one class for each kind of thing that the API speaks of."""
