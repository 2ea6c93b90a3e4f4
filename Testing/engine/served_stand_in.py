"""The real server with real workers around the stand-in pipeline: `python served_stand_in.py SETTINGS_AS_JSON`.

The settings are those of `ServerSettings` by name, its limits under "limits", and `step_s` for the pipeline.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from diffugts.server.run import serve
from diffugts.server.settings import Limits, ServerSettings

if __name__ == "__main__":
    facts = json.loads(sys.argv[1])
    step_s = facts.pop("step_s", 0.0)
    for name in ("folder", "certificate", "key"):
        if name in facts:
            facts[name] = Path(facts[name])
    facts["models"] = {name: Path(folder) for name, folder in facts["models"].items()}
    facts["tokens"] = tuple(facts.get("tokens", ()))
    facts["limits"] = Limits(**facts.get("limits", {}))
    worker = facts.pop("worker", [str(Path(__file__).with_name("slow_pipeline_worker.py")), str(step_s)])
    serve(ServerSettings(worker=(sys.executable, *worker), **facts))
