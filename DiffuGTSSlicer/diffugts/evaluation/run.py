"""An evaluation run: a folder that fills up case by case, and can be stopped and started again at any time.

    run/run.json                 which methods on which data
    run/cases/<case>/case.json   one finished case's figures
    run/cases/<case>/<method>.png   scan, truth, mask, heat map, pseudo-healthy scan

A case's folder appears as a whole, or not at all: what is there is finished and is never computed again, unless the
case's files or the question changed.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from diffugts import __version__
from diffugts.errors import Cancelled, DiffuGTSError, RequestError
from diffugts.evaluation.case_picture import draw_case
from diffugts.evaluation.cases import EvaluationCase
from diffugts.evaluation.methods import Method, Prediction
from diffugts.evaluation.records import CaseRecord, Figures
from diffugts.findings.result_folder import whole_folder
from diffugts.scans.scan import Scan

RUN_FILE, CASE_FILE, CASES = "run.json", "case.json", "cases"

Study = Callable[[EvaluationCase, Scan, np.ndarray, Prediction], dict[str, Any]]
"""Looks at a model beyond its mask, given the last method's answer; what it returns is kept with the case's figures."""


@dataclass(frozen=True)
class EvaluationRun:
    """The folder of a run and what is evaluated in it."""

    folder: Path
    methods: tuple[Method, ...]
    data: str

    @property
    def facts(self) -> dict[str, Any]:
        """What must not change between the sittings of one run."""
        return {
            "data": self.data,
            "methods": {method.name: method.identity for method in self.methods},
        }

    def open(self, fresh: bool = False) -> None:
        """Make the folder, or go on with one that was begun with the same methods on the same data.

        Raises RequestError where it holds another run; `fresh` discards that one's cases first.
        """
        path = self.folder / RUN_FILE
        if path.is_file():
            begun = json.loads(path.read_text(encoding="utf-8"))
            if {key: begun.get(key) for key in self.facts} == self.facts:
                return
            if not fresh:
                raise RequestError(
                    f"'{self.folder}' holds another evaluation: {_difference(begun, self.facts)}. Give another --output, "
                    "or --fresh to discard that one."
                )
            shutil.rmtree(self.folder / CASES, ignore_errors=True)
        elif (self.folder / CASES).exists():
            raise RequestError(f"'{self.folder}' holds cases of an unknown run. Give another --output.")
        self.folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({**self.facts, "version": __version__}, indent=1) + "\n", encoding="utf-8")

    def finished(self, case: EvaluationCase) -> CaseRecord | None:
        """The record of a case that is done, None where it is still to be computed."""
        try:
            record = CaseRecord.from_json((self.case_folder(case) / CASE_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        same = record.fingerprint == _fingerprint(case) and record.failure is None
        return record if same and set(record.figures) == {method.name for method in self.methods} else None

    def evaluate(
        self,
        cases: Sequence[EvaluationCase],
        study: Study | None = None,
        pictures: bool = True,
        say: Callable[[str], None] = print,
    ) -> list[CaseRecord]:
        """Every case that is not finished; `say` is told one line a case. Cases that cannot be read are recorded as such."""
        records = []
        for number, case in enumerate(cases, start=1):
            record = self.finished(case)
            if record is not None:
                say(f"{number}/{len(cases)} {case.name}: done before")
            else:
                start = time.perf_counter()
                record = self._run_case(case, study, pictures)
                say(f"{number}/{len(cases)} {_line(record)}, {time.perf_counter() - start:.0f} s")
            records.append(record)
        return records

    def case_folder(self, case: EvaluationCase | CaseRecord) -> Path:
        """Where a case's figures and pictures lie; a name that no file may have is written as letters and its checksum."""
        name = re.sub(r"[^\w.+-]", "_", case.name).strip(".")
        if name != case.name:
            name = f"{name[:60]}-{sha256(case.name.encode()).hexdigest()[:8]}"
        return self.folder / CASES / name

    def _run_case(self, case: EvaluationCase, study: Study | None, pictures: bool) -> CaseRecord:
        with whole_folder(self.case_folder(case)) as folder:
            try:
                record = self._measured(case, study, folder if pictures else None)
            except Cancelled:
                raise
            except DiffuGTSError as error:
                record = self._record(case, case.modality or "", failure=str(error))
            (folder / CASE_FILE).write_text(record.as_json(), encoding="utf-8")
        return record

    def _measured(self, case: EvaluationCase, study: Study | None, pictures: Path | None) -> CaseRecord:
        scan = case.scan()
        truth = case.truth(scan)
        spacing = tuple(reversed(scan.geometry.spacing_mm))
        figures: dict[str, Figures] = {}
        for method in self.methods:  # one answer is held at a time: maps of a large scan fill the memory
            prediction = method.segment(scan, case.description)
            figures[method.name] = Figures.of(prediction, truth, spacing, case.rules)
            if pictures is not None:
                draw_case(scan, truth, prediction, pictures / f"{method.name}.png")
        studies = study(case, scan, truth, prediction) if study is not None else {}
        truth_ml = float(truth.sum()) * scan.geometry.voxel_ml
        return self._record(case, scan.modality, truth_ml=truth_ml, figures=figures, studies=studies)

    def _record(self, case: EvaluationCase, modality: str, **measured: Any) -> CaseRecord:
        return CaseRecord(case.name, case.folder, case.description, modality, _fingerprint(case), **measured)


def _fingerprint(case: EvaluationCase) -> str:
    return sha256(case.fingerprint().encode()).hexdigest()


def _line(record: CaseRecord) -> str:
    if record.failure:
        return f"{record.name}: could not be evaluated. {record.failure}"
    if not record.has_tumour:
        marked = ", ".join(f"{name} {f.overlap.found_ml:.1f} ml" for name, f in record.figures.items())
        return f"{record.name}: tumour-free, marked {marked}"
    scores = ", ".join(f"{name} {f.overlap.dsc:.3f}" for name, f in record.figures.items())
    return f"{record.name}: DSC {scores}"


def _difference(begun: dict[str, Any], facts: dict[str, Any]) -> str:
    for key, value in facts.items():
        if begun.get(key) != value:
            return f"its {key} {json.dumps(begun.get(key))[:300]}, not {json.dumps(value)[:300]}"
    return "it differs"
