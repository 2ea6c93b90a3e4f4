"""Requests: what may stand in request.json, and the sentence for everything that may not."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffugts.errors import RequestError
from diffugts.protocol.request import (
    LONGEST_DESCRIPTION,
    MOST_DESCRIPTIONS,
    REQUEST_SCHEMA,
    Quality,
    Region,
    Request,
)
from fuzzing import fuzzed

LEAST: dict[str, Any] = {
    "schema": REQUEST_SCHEMA,
    "scan": "/scans/thorax.nrrd",
    "descriptions": ["lung nodule"],
    "output": "/results/1",
}

FULL = Request(
    scan="/scans/Müller, 肝/ct scan.nii.gz",
    descriptions=("liver metastasis", 'a "quoted" mass, 3 cm 😀', "lésion\nin two lines"),
    output="/results/ö 1",
    model="compact",
    quality=Quality.THOROUGH,
    device="cuda:0",
    modality="MR",
    sequence="FLAIR",
    region=Region((-10.5, 0.0, 3.25), (10.0, 20.0, 30.0)),
    threshold=0.45,
    smallest_lesion_ml=0.0,
    seed=2**31 - 1,
    image_format="nifti",
    series="1.2.840.4711.5/2",
    mask="/scans/Müller, 肝/rough mask.nii.gz",
)


def read(**changed: Any) -> Request:
    return Request.from_json(json.dumps({**LEAST, **changed}))


def test_a_request_comes_back_from_its_json_as_it_was() -> None:
    assert Request.from_json(FULL.to_json()) == FULL
    assert json.loads(FULL.to_json())["schema"] == "diffugts-request/1"


def test_a_request_comes_back_from_its_file_and_leaves_no_other(tmp_path: Path) -> None:
    path = tmp_path / "request ö.json"
    path.write_text("an earlier one", encoding="utf-8")
    FULL.save(path)
    assert Request.load(path) == FULL
    assert [entry.name for entry in tmp_path.iterdir()] == ["request ö.json"]


def test_what_is_left_out_has_the_documented_defaults() -> None:
    request = read()
    assert (request.model, request.quality, request.device) == ("compact", Quality.STANDARD, "auto")
    assert (request.modality, request.sequence, request.region, request.threshold) == (None, None, None, None)
    assert (request.smallest_lesion_ml, request.seed, request.image_format) == (0.1, 0, "nrrd")
    assert request.series is None and request.mask is None


def test_null_where_it_is_allowed_means_left_out() -> None:
    assert read(modality=None, sequence=None, region=None, threshold=None) == read()


def test_relative_paths_are_taken_from_the_request_files_folder(tmp_path: Path) -> None:
    (tmp_path / "own model").mkdir()
    path = tmp_path / "request.json"
    facts = {**LEAST, "scan": "ct.nrrd", "mask": "rough.nrrd", "output": os.path.join("out", "1"), "model": "own model"}
    path.write_text(json.dumps(facts), encoding="utf-8")
    request = Request.load(path)
    assert Path(request.scan) == tmp_path / "ct.nrrd" and Path(request.output) == tmp_path / "out" / "1"
    assert Path(request.model) == tmp_path / "own model"
    assert request.mask is not None and Path(request.mask) == tmp_path / "rough.nrrd"


def test_absolute_paths_and_names_of_shipped_models_stay_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "request.json"
    path.write_text(json.dumps({**LEAST, "model": "compact"}), encoding="utf-8")
    request = Request.load(path)
    assert (request.scan, request.output, request.model) == ("/scans/thorax.nrrd", "/results/1", "compact")


def test_a_file_that_a_windows_editor_saved_is_read(tmp_path: Path) -> None:
    path = tmp_path / "request.json"
    path.write_text(json.dumps(LEAST, indent=2), encoding="utf-8-sig", newline="\r\n")
    assert Request.load(path) == read()


def test_a_request_file_that_is_not_there_or_not_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="missing.json' cannot be read"):
        Request.load(tmp_path / "missing.json")
    with pytest.raises(RequestError, match="cannot be read"):
        Request.load(tmp_path)
    (tmp_path / "request.json").write_bytes(b"\xff\xfe\x00{}")
    with pytest.raises(RequestError, match="request.json' cannot be read"):
        Request.load(tmp_path / "request.json")


@pytest.mark.parametrize("odd", ["a\x00b", "a" * 5000, "\ud800"])
def test_a_path_that_no_system_knows_is_a_request_error(odd: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="cannot be read"):
        Request.load(tmp_path / odd)


NAN, INFINITE = float("nan"), float("inf")


@pytest.mark.parametrize(
    "field, met, shown, expected",
    [
        ("schema", "diffugts-request/2", "'diffugts-request/2'", "'diffugts-request/1'"),
        ("schema", None, "None", "'diffugts-request/1'"),
        ("schema", {"a": 1}, "{'a': 1}", "'diffugts-request/1'"),
        ("scan", "", "''", "a text that is not empty"),
        ("scan", "a\x00b", r"'a\x00b'", "a text"),
        ("scan", None, "None", "a text that is not empty"),
        ("scan", ["a.nrrd"], "['a.nrrd']", "a text that is not empty"),
        ("output", "   ", "'   '", "a text that is not empty"),
        ("output", 5, "5", "a text that is not empty"),
        ("mask", "", "''", "a text that is not empty"),
        ("mask", [0, 1], "[0, 1]", "a text that is not empty"),
        ("model", None, "None", "a text that is not empty"),
        ("device", 0, "0", "a text that is not empty"),
        ("descriptions", [], "[]", "a list with at least one text"),
        ("descriptions", "liver", "'liver'", "a list with at least one text"),
        ("descriptions", {"a": "b"}, "{'a': 'b'}", "a list with at least one text"),
        ("quality", "best", "'best'", "'fast' or 'standard' or 'thorough'"),
        ("quality", "FAST", "'FAST'", "'fast' or 'standard' or 'thorough'"),
        ("quality", None, "None", "'fast' or 'standard' or 'thorough'"),
        ("quality", ["fast"], "['fast']", "'fast' or 'standard' or 'thorough'"),
        ("modality", "PT", "'PT'", "'CT', 'MR'"),
        ("modality", "", "''", "'CT', 'MR'"),
        ("modality", ["CT"], "['CT']", "'CT', 'MR'"),
        ("sequence", "", "''", "a text that is not empty"),
        ("sequence", 2, "2", "a text that is not empty"),
        ("threshold", 1.01, "1.01", "a number from 0 to 1"),
        ("threshold", -0.1, "-0.1", "a number from 0 to 1"),
        ("threshold", NAN, "nan", "a number from 0 to 1"),
        ("threshold", INFINITE, "inf", "a number from 0 to 1"),
        ("threshold", 10**400, "1000", "a number from 0 to 1"),
        ("threshold", "0.5", "'0.5'", "a number from 0 to 1"),
        ("threshold", True, "True", "a number from 0 to 1"),
        ("smallest_lesion_ml", -1, "-1", "a number from 0 to 1e+06"),
        ("smallest_lesion_ml", NAN, "nan", "a number from 0 to 1e+06"),
        ("smallest_lesion_ml", None, "None", "a number from 0 to 1e+06"),
        ("smallest_lesion_ml", 1e300, "1e+300", "a number from 0 to 1e+06"),
        ("seed", -1, "-1", "a whole number from 0 to 2147483647"),
        ("seed", 2**31, "2147483648", "a whole number from 0 to 2147483647"),
        ("seed", 1.0, "1.0", "a whole number from 0 to 2147483647"),
        ("seed", False, "False", "a whole number from 0 to 2147483647"),
        ("seed", None, "None", "a whole number from 0 to 2147483647"),
        ("image_format", "dicom", "'dicom'", "'nrrd' or 'nifti'"),
        ("image_format", None, "None", "'nrrd' or 'nifti'"),
        ("image_format", {}, "{}", "'nrrd' or 'nifti'"),
        ("region", [1, 2], "[1, 2]", "minimum_ras_mm and maximum_ras_mm"),
        ("region", "all", "'all'", "minimum_ras_mm and maximum_ras_mm"),
    ],
)
def test_a_bad_value_is_named_with_its_field_and_what_was_expected(
    field: str, met: object, shown: str, expected: str
) -> None:
    with pytest.raises(RequestError) as caught:
        read(**{field: met})
    message = str(caught.value)
    assert f"'{field}'" in message and shown in message and expected in message


@pytest.mark.parametrize("met", ["", "\t", 5, None, ["a"], "a\x00b", "\ud800"])
def test_a_description_that_is_no_text_is_named_by_its_number(met: object) -> None:
    with pytest.raises(RequestError, match="'description 2' is .*expected a text"):
        read(descriptions=["lung nodule", met])


def test_too_many_and_too_long_descriptions_are_refused() -> None:
    assert len(read(descriptions=["a"] * MOST_DESCRIPTIONS).descriptions) == MOST_DESCRIPTIONS
    with pytest.raises(RequestError, match="201 descriptions, at most 200"):
        read(descriptions=["a"] * (MOST_DESCRIPTIONS + 1))
    assert read(descriptions=["a" * LONGEST_DESCRIPTION])
    with pytest.raises(RequestError, match="10001 characters, at most 10000"):
        read(descriptions=["a" * (LONGEST_DESCRIPTION + 1)])


BOX: dict[str, Any] = {"minimum_ras_mm": [0, 0, 0], "maximum_ras_mm": [1, 2, 3]}


def test_a_region_of_whole_numbers_becomes_one_of_millimetres() -> None:
    assert read(region=BOX).region == Region((0.0, 0.0, 0.0), (1.0, 2.0, 3.0))


@pytest.mark.parametrize(
    "corner", [[0, 0], [0, 0, 0, 0], "000", None, {"r": 0}, [0, 0, "0"], [0, 0, None], [0, NAN, 0], [0, 0, 10**400]]
)
def test_a_regions_corner_is_three_finite_numbers(corner: object) -> None:
    with pytest.raises(RequestError, match=r"'region\.minimum_ras_mm'.*number"):
        read(region={**BOX, "minimum_ras_mm": corner})


@pytest.mark.parametrize("corner", [[0, 2, 3], [-1, 2, 3], [1, 2, 0]])
def test_a_region_has_an_inside(corner: list[int]) -> None:
    with pytest.raises(RequestError, match="'region' is .*minimum is below its maximum"):
        read(region={**BOX, "maximum_ras_mm": corner})


def test_a_regions_missing_and_misspelt_fields_are_named() -> None:
    with pytest.raises(RequestError, match="'region' has no 'maximum_ras_mm'"):
        read(region={"minimum_ras_mm": [0, 0, 0]})
    with pytest.raises(RequestError, match="'minimum_ras'; did you mean 'minimum_ras_mm'"):
        read(region={"minimum_ras": [0, 0, 0], "maximum_ras_mm": [1, 1, 1]})


def test_a_region_made_in_a_script_is_checked_too() -> None:
    with pytest.raises(RequestError, match="minimum is below its maximum"):
        Region((0.0, 0.0, 0.0), (0.0, 1.0, 1.0))
    with pytest.raises(RequestError, match="'region'"):
        replace(FULL, region=BOX)  # type: ignore[arg-type]


@pytest.mark.parametrize("field", ["scan", "descriptions", "output"])
def test_a_request_without_scan_descriptions_or_output_says_which(field: str) -> None:
    facts = {name: value for name, value in LEAST.items() if name != field}
    with pytest.raises(RequestError, match=f"has no '{field}'"):
        Request.from_json(json.dumps(facts))


def test_an_unknown_field_is_named_with_the_nearest_known() -> None:
    with pytest.raises(RequestError, match="unknown field 'treshold'; did you mean 'threshold'?"):
        read(treshold=0.5)
    with pytest.raises(RequestError, match="unknown field 'xyzzy'. Remove it"):
        read(xyzzy=1)


def test_an_enormous_unknown_field_is_not_repeated_in_full() -> None:
    with pytest.raises(RequestError) as caught:
        read(**{"q" * 2_000_000: 1})
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "text", ["", "{", "nonsense", '{"schema": }', "\x00", "9" * 5000, "[" * 100_000, "{" * 100_000]
)
def test_what_is_no_json_is_a_request_error(text: str) -> None:
    with pytest.raises(RequestError, match="not valid JSON"):
        Request.from_json(text)


@pytest.mark.parametrize("text", ["[]", "5", "null", '"diffugts-request/1"', "true", "NaN"])
def test_what_is_no_json_object_is_a_request_error(text: str) -> None:
    with pytest.raises(RequestError, match="not a JSON object"):
        Request.from_json(text)


@pytest.mark.parametrize(
    "field", ["schema", "scan", "descriptions", "quality", "modality", "threshold", "seed", "region", "x"]
)
def test_a_value_nested_ever_deeper_is_a_request_error(field: str) -> None:
    limit = sys.getrecursionlimit()
    for depth in (50, *range(limit - 120, limit + 1), 100_000):  # where reading still works and showing does not
        text = json.dumps({**LEAST, field: "@"}).replace('"@"', "[" * depth + "]" * depth)
        with pytest.raises(RequestError) as caught:
            Request.from_json(text)
        assert len(str(caught.value)) < 500


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["CT", "fast", "nifti", REQUEST_SCHEMA]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from([*json.loads(FULL.to_json()), "treshold"])


@fuzzed(150)
@given(ANYTHING)
def test_any_json_is_a_request_or_a_request_error(facts: object) -> None:
    with pytest.raises(RequestError):
        Request.from_json(json.dumps(facts), Path("/somewhere"))


@fuzzed(200)
@given(st.dictionaries(FIELDS, ANYTHING, min_size=1, max_size=2))
def test_a_request_with_any_values_is_refused_or_comes_back_the_same(changed: dict[str, object]) -> None:
    try:
        request = Request.from_json(json.dumps({**LEAST, **changed}), Path("/somewhere"))
    except RequestError as error:
        assert str(error).endswith((".", "?")) and len(str(error)) < 500
    else:
        assert Request.from_json(request.to_json()) == request


@fuzzed(100)
@given(st.text(max_size=60))
def test_any_text_is_a_request_error(text: str) -> None:
    with pytest.raises(RequestError):
        Request.from_json(text)


def test_the_name_of_a_file_from_an_old_encoding_survives(tmp_path: Path) -> None:
    request = replace(FULL, scan=os.fsdecode(b"/scans/M\xfcller.nrrd"))
    request.save(tmp_path / "request.json")
    assert Request.load(tmp_path / "request.json") == request


def test_a_model_name_too_long_for_a_path_is_left_for_the_model_search(tmp_path: Path) -> None:
    assert Request.from_json(json.dumps({**LEAST, "model": "a" * 5000}), tmp_path).model == "a" * 5000
