"""The example descriptions: a model without its text encoder must be able to read every one of them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
from opened_module import *  # noqa: E402, F403
from test_lib_real_worker import worker_command  # noqa: E402, F401

ROOT = Path(__file__).resolve().parents[2]
MISSING_OF_BANK = """
import json, sys
from diffugts.descriptions.bank import SCAN_KINDS, EmbeddingBank
from diffugts.descriptions.description import parse_descriptions
from diffugts.descriptions.templates import prompt_pair
from diffugts.descriptions.vocabulary import load_vocabulary
bank = EmbeddingBank.load(sys.argv[1])
descriptions = parse_descriptions(json.loads(sys.argv[2]), load_vocabulary())
pairs = [(d, prompt_pair(d, *kind)) for d in descriptions for kind in SCAN_KINDS]
print(json.dumps([d.text for d, pair in pairs if bank.lookup([pair.normal, pair.abnormal]) is None]))
"""


def test_every_example_is_among_the_prepared_descriptions(module, worker_command):  # noqa: F811
    from DiffuGTSSlicerLib.description_examples import examples_by_region

    examples = [text for _, texts in examples_by_region() for text in texts]
    bank = next((ROOT / "Resources" / "Models" / "compact").glob("*bank*.safetensors"))
    asked = subprocess.run(
        [worker_command.python, "-c", MISSING_OF_BANK, str(bank), json.dumps(examples)],
        env=worker_command.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(asked.stdout) == []
    assert len(examples) == len(set(examples)) > 10
