"""The worker's environment, with a worker that follows a script (`fake_worker.py`) in the place of the real one."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from DiffuGTSSlicerLib.environment import Environment
from DiffuGTSSlicerLib.worker_command import WorkerCommand

HERE = Path(__file__).parent
ENGINE = HERE.parents[1] / "DiffuGTSSlicer"


class ScriptedEnvironment(Environment):
    """Ready from the start; `mode` says how the next worker behaves."""

    def __init__(self, mode: str = "well", state_folder: Path | None = None) -> None:
        super().__init__()
        self.mode, self._state_folder = mode, state_folder
        self.ready, self.state = True, "Ready: scripted worker"

    def readiness(self) -> tuple[bool, str]:
        return self.ready, self.state

    def worker_command(self) -> WorkerCommand:
        state = [str(self._state_folder)] if self._state_folder else []
        arguments = (str(HERE / "fake_worker.py"), self.mode, *state)
        return WorkerCommand(Path(sys.executable), ENGINE, dict(os.environ), arguments=arguments)

    def check_if_unknown(self) -> None:
        """Nothing: a scripted worker has no packages to try."""

    def become(self, ready: bool, state: str) -> None:
        """Change the readiness, as a check or an installation does."""
        self.ready, self.state = ready, state
        for listener in list(self.listeners):
            listener()
