"""
What makes two requests the same (core: no I/O).

The bytes of the audio, not of the form: boundaries, file names and the order of fields differ from client to client.
What is asked as it was understood, not as it was spelled. The model as the workers name it. And whose request it is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, replace

from fleet.fields import TranscriptionRequest
from fleet.wire import LoadReport, Tier, WorkerState

KNOWN_IN = (WorkerState.READY, WorkerState.DRAINING)  # before that a worker does not know what it has loaded


def identity_of(reports: Iterable[LoadReport], model: str | None) -> str | None:
    """
    What would answer a request for `model` (None: whatever there is), the same after a restart.

    None while nobody is known who would, and while workers disagree: then two runs may differ and none is kept.
    """
    found = {
        (report.model, report.version, report.compute_type, report.recipe)
        for report in reports
        if report.state in KNOWN_IN and model in (None, report.model)
    }
    return json.dumps(found.pop()) if len(found) == 1 else None


def key_of(*, audio: str, path: str, request: TranscriptionRequest, identity: str, tenant: str) -> str:
    """
    The name under which the answer is kept: 64 hexadecimal digits.

    `audio` is the hash of the file's bytes, `path` that on the worker with its query, `tenant` the caller's, or
    empty where callers share. How urgent a request is changes nothing about its answer; the model is in `identity`.
    """
    asked = asdict(replace(request, tier=Tier.REALTIME, model=None))
    parts = json.dumps([audio, path, asked, identity, tenant], sort_keys=True)
    return hashlib.blake2b(parts.encode(), digest_size=32).hexdigest()
