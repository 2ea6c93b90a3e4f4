"""Where a cohort's workers compute: a GPU each, named ones, or the cores shared; on made-up GPUs, and by a real look."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from diffugts.cohort.devices import try_gpus, workplaces
from diffugts.errors import RequestError
from worker_process import environment


def seen(gpus: tuple[dict[str, str], ...]) -> list[str]:
    return [variables["CUDA_VISIBLE_DEVICES"] for variables in gpus]


def test_every_gpu_that_works_has_its_worker_and_the_others_are_named() -> None:
    places = workplaces("auto", None, lambda: [None, "its memory is taken.", None], {})
    assert seen(places.variables) == ["0", "2"] and places.device == "auto"
    assert places.notes == ("cuda:1 is left out: its memory is taken.",)


def test_named_gpus_alone_are_used_and_several_workers_go_round() -> None:
    places = workplaces("cuda:1, cuda:0", 3, lambda: [None, None, None], {})
    assert seen(places.variables) == ["1", "0", "1"]
    assert places.device == "cuda", "whoever takes up a case, its request is the same"
    assert seen(workplaces("cuda:0,cuda:1", 1, lambda: [None, None], {}).variables) == ["0"]


def test_what_a_scheduler_has_given_keeps_its_names() -> None:
    given = {"CUDA_VISIBLE_DEVICES": "3,MIG-7c5e"}
    assert seen(workplaces("auto", None, lambda: [None, None], given).variables) == ["3", "MIG-7c5e"]
    assert seen(workplaces("cuda:1", None, lambda: [None, None], given).variables) == ["MIG-7c5e"]


def test_without_a_gpu_workers_share_the_cores() -> None:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert workplaces("auto", None, list, {}).variables == ({},)
    shared = workplaces("cpu", 2, None, {}).variables
    assert shared == ({"OMP_NUM_THREADS": str(max(1, cores // 2))},) * 2
    assert workplaces("cpu", 2, None, {"OMP_NUM_THREADS": "5"}).variables == ({}, {}), "the user has said it"


@pytest.mark.parametrize(
    ("device", "words"),
    [
        ("gpu", "expected 'auto'"),
        ("cuda:0,cpu", "expected 'auto'"),
        ("cuda:0,cuda", "name each GPU once"),
        ("cuda:7", "torch finds 2 GPUs"),
        ("cuda:1", "too old a driver"),
    ],
)
def test_a_device_that_is_none_or_does_not_work_is_refused_before_anything_starts(device: str, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        workplaces(device, None, lambda: [None, "too old a driver."], {})


def test_a_look_that_ends_or_says_nonsense_finds_no_gpu() -> None:
    assert try_gpus((sys.executable, "-c", "import os; os.abort()")) == []
    assert try_gpus((sys.executable, "-c", "print('CUDA is here')")) == []


def test_the_look_at_this_machine_answers_for_every_gpu_that_torch_sees() -> None:
    command = [sys.executable, "-m", "diffugts.cohort.devices"]
    said = subprocess.run(command, stdout=subprocess.PIPE, env=environment(), timeout=120, check=True).stdout
    import torch

    assert len(json.loads(said)) == (torch.cuda.device_count() if torch.cuda.is_available() else 0)
