"""The real worker around the stand-in pipeline: `python slow_pipeline_worker.py STEP_S [IDLE_RELEASE_S] [GRACE_S]`.

With --picture at the end it draws, as the real one does.
"""

from __future__ import annotations

import sys
from pathlib import Path

from diffugts.worker.channel import Channel

if __name__ == "__main__":
    channel = Channel.take_standard_streams()
    from diffugts.worker.server import Worker
    from diffugts.worker.shelf import ModelShelf

    def load(folder, device, progress):
        # As in the product: nothing heavy is imported before the first job.
        from stand_in_pipeline import StandInLoader

        return StandInLoader(step_s)(folder, device, progress)

    numbers = [float(argument) for argument in sys.argv[1:] if argument != "--picture"]
    step_s, idle_release_s, grace_s = [*numbers, *(None, 300.0, 5.0)[len(numbers) :]]
    pictures = "--picture" in sys.argv
    sys.exit(Worker(channel, ModelShelf(load, find=Path), idle_release_s, grace_s, pictures=pictures).serve())
