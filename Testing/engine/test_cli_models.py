"""`diffugts models` with a model of the tests; the shipped one has tests of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from command_line import call
from diffugts.models import list_models, weights_sha256
from small_model_folder import save_small_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_model(tmp_path_factory.mktemp("models") / "small")


def test_a_model_is_shown_with_its_checksum_and_card(model: Path) -> None:
    (model / "model_card.md").write_text("# A small model\n\nIt cannot find anything.\n", encoding="utf-8")
    shown = call("models", "show", model)
    assert shown.code == 0
    assert weights_sha256(model) in shown.out and "It cannot find anything." in shown.out
    facts = json.loads(call("models", "show", model, "--json").out)
    assert facts["weights_sha256"] == weights_sha256(model) and facts["card"].startswith("# A small model")


def test_an_unknown_model_ends_with_four() -> None:
    shown = call("models", "show", "nowhere")
    assert shown.code == 4 and "There is no model 'nowhere'" in shown.err


def test_the_list_holds_every_shipped_model() -> None:
    cards = list_models()
    listed = call("models", "list", "--json")
    assert [fact["name"] for fact in json.loads(listed.out)] == [card.name for card in cards]
    table = call("models", "list")
    assert table.code == (0 if cards else 4)
    assert all(card.name in table.out and card.weights_sha256[:16] in table.out for card in cards)
