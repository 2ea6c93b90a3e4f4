"""The same server under Ray Serve: its HTTP side in one replica, a worker on each GPU of the cluster's machines.

    serve run diffugts.server.on_ray:application workers=4 gpus_per_worker=1 folder=/shared/jobs tokens=tokens.txt

The folder has to be one that all machines see. Ray restarts a worker that was lost, on another machine if need be.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray import serve

from diffugts.errors import RequestError
from diffugts.models import models_by_name
from diffugts.server.app import make_app
from diffugts.server.settings import WORKER, ServerSettings, read_tokens
from diffugts.worker.on_ray import RayLink


def application(arguments: Mapping[str, str]) -> Any:
    """The Serve application. Arguments: folder, tokens, workers, gpus_per_worker, models. Raises RequestError."""
    if "folder" not in arguments or "tokens" not in arguments:
        raise RequestError("Give folder=... (one that all machines see) and tokens=... (a file of tokens).")
    further = [Path(arguments["models"])] if "models" in arguments else []
    command = tuple(arguments["worker"].split()) if "worker" in arguments else WORKER
    settings = ServerSettings(
        folder=Path(arguments["folder"]),
        models=models_by_name(further),
        tokens=read_tokens(Path(arguments["tokens"])),
        worker=command,
    )
    workers, gpus = int(arguments.get("workers", "1")), float(arguments.get("gpus_per_worker", "1"))

    def build() -> Any:
        return make_app(settings, [RayLink(command, gpus) for _ in range(workers)])

    # One replica: jobs and their events are its own; what computes is in the actors.
    ingress = serve.ingress(build)(type("Server", (), {}))
    options = {"num_replicas": 1, "max_ongoing_requests": 200, "logging_config": {"enable_access_log": False}}
    return serve.deployment(**options)(ingress).bind()
