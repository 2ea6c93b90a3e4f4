"""`diffugts evaluate`: masks against the truth on any data set, two runs against each other, and the words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from diffugts.errors import RequestError

if TYPE_CHECKING:
    from diffugts.evaluation.layouts import Layout
    from diffugts.evaluation.methods import Method
    from diffugts.pipeline import DiffuGTSPipeline

CASES = "cases"


class CasesUnlessNamed(TyperGroup):
    """`diffugts evaluate DATA` is `diffugts evaluate cases DATA`: the usual question needs no further word."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [CASES, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=CasesUnlessNamed,
    help="Measure a model, or what could be used instead of it, on scans with a known answer. `diffugts evaluate DATA` "
    "reads MSD, KiTS23, BraTS23, a data folder, a table of cases or a plain folder (docs/evaluation.md).",
    no_args_is_help=True,
)

Device = Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")]
ModelName = Annotated[str, typer.Option(help="Model name or folder.")]


@app.command(CASES)
def cases(
    data: Annotated[Path, typer.Argument(help="Data set's folder, or a table of cases.")],
    output: Annotated[Path, typer.Option(help="Folder of the run; an interrupted one goes on.")] = Path(
        "runs/evaluation"
    ),
    method: Annotated[
        str, typer.Option(help="diffugts; a simple baseline by its name; or the folder of a trained baseline.")
    ] = "diffugts",
    model: ModelName = "compact",
    device: Device = "cpu",
    quality: Annotated[list[str] | None, typer.Option(help="Quality levels to run; all where none is given.")] = None,
    layout: Annotated[
        str | None, typer.Option(help="index, msd, kits23, brats23, table or folder, where it is not recognised.")
    ] = None,
    description: Annotated[str | None, typer.Option(help="Asked of every case instead of the data set's own.")] = None,
    sequence: Annotated[str | None, typer.Option(help="MR: T1, T1c, T2 or FLAIR, where cases have several.")] = None,
    only: Annotated[str | None, typer.Option(help="Only cases whose name or group holds this text.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many cases, spread evenly over the list.")] = None,
    studies: Annotated[
        bool,
        typer.Option(
            help="Also what each stage of the model brings, and on a data folder its holes, words and best thresholds."
        ),
    ] = True,
    pictures: Annotated[bool, typer.Option(help="Draw every case.")] = True,
    fresh: Annotated[bool, typer.Option(help="Discard what another evaluation left in the folder.")] = False,
) -> None:
    """Measure masks on every case: overlap, surfaces, lesions; tables, pictures, JSON and CSV."""
    from diffugts.evaluation.html_report import write_html
    from diffugts.evaluation.layouts import Layout, read_cases, recognise
    from diffugts.evaluation.report import stage_table, with_interval, write_tables
    from diffugts.evaluation.run import EvaluationRun
    from diffugts.evaluation.speed import machine, peak_memory_mb
    from diffugts.evaluation.stages import STAGED
    from diffugts.evaluation.studies import ModelStudies
    from diffugts.evaluation.summary import summarise

    kind = _layout(layout) or recognise(data)
    chosen = read_cases(data, kind, sequence, description)
    if only:
        chosen = [case for case in chosen if only in case.name or only in case.folder]
    if limit and limit < len(chosen):
        chosen = [chosen[number * len(chosen) // limit] for number in range(limit)]
    if not chosen:
        raise RequestError(f"No case's name or group holds '{only}'.")
    methods, pipeline = _methods(method, model, device, quality)
    study = None
    if studies and pipeline is not None:
        staged = STAGED in [method.name for method in methods]
        study = ModelStudies(pipeline, staged, kind is Layout.INDEX)
    run = EvaluationRun(output, methods, str(data.resolve()))
    run.open(fresh)
    records = run.evaluate(chosen, study, pictures, typer.echo)
    summary = summarise(records)
    made_by = f"{_made_by(methods)}; {machine(device)}; peak memory {peak_memory_mb() / 1000:.1f} GB."
    write_tables(output, records, summary, made_by)
    for g in summary.groups:
        typer.echo(f"{g.group}, {g.method}: DSC {with_interval(g.means['dsc'])}, n = {g.cases}")
    for s in summary.tumour_free:
        typer.echo(f"{s.group}, {s.method}: {s.marked_ml.value:.1f} ml marked in {s.scans} scans without a tumour")
    for part in stage_table(records):
        typer.echo(part)
    typer.echo(f"Written: {write_html(run, records, summary, made_by)}")


@app.command("compare")
def compare_runs(
    first: Annotated[Path, typer.Argument(help="Folder of a run.")],
    second: Annotated[Path, typer.Argument(help="Folder of another run on the same cases.")],
    first_method: Annotated[
        str | None, typer.Option(help="Method or quality of the first; standard if there.")
    ] = None,  # fmt: skip
    second_method: Annotated[
        str | None, typer.Option(help="Method or quality of the second; standard if there.")
    ] = None,  # fmt: skip
    output: Annotated[Path | None, typer.Option(help="JSON file to write the comparison to, too.")] = None,
) -> None:
    """Say whether two runs differ by more than chance: paired tests, corrected for their number."""
    from diffugts.evaluation.comparison import compare

    comparison = compare(first, second, first_method, second_method)
    typer.echo(comparison.as_markdown())
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(comparison.as_json(), encoding="utf-8")


@app.command("words")
def words(
    data: Annotated[
        Path | None,
        typer.Argument(help="Data set, as for `evaluate`; generated bodies with lesions where none is given."),
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder for words.md and words.json.")] = Path("runs/words"),
    model: ModelName = "compact",
    device: Device = "cpu",
    seeds: Annotated[int, typer.Option(min=1, help="Generated bodies of each kind.")] = 3,
    body: Annotated[
        list[str] | None, typer.Option(help="thigh, abdomen, thorax or head; all where none is given.")
    ] = None,
    only: Annotated[str | None, typer.Option(help="Only cases whose name or group holds this text.")] = None,
) -> None:
    """Ask synonyms, other organs, absent tumours, looks, places and nonsense: do the words decide?"""
    from diffugts.allocation import keep_freed_memory
    from diffugts.evaluation.layouts import read_cases
    from diffugts.evaluation.speed import machine
    from diffugts.evaluation.word_report import words_as_markdown, write_words
    from diffugts.evaluation.word_subjects import generated_subjects, subjects_of_cases, tumour_free_scans
    from diffugts.evaluation.words import PipelineReader, ask_words
    from diffugts.models import find_model, load_pipeline

    chosen = read_cases(data) if data is not None else []
    chosen = [case for case in chosen if only is None or only in case.name or only in case.folder]
    keep_freed_memory()
    pipeline = load_pipeline(find_model(model), device)
    subjects = subjects_of_cases(chosen) if data is not None else generated_subjects(seeds, body)
    unmarked = [case for case in chosen if case.label is None]
    try:
        report = ask_words(PipelineReader(pipeline), subjects, tumour_free_scans(unmarked), typer.echo)
    except ValueError as error:
        raise RequestError(f"'{data}' cannot be asked: {error}. See docs/evaluation.md.") from error
    made_by = f"Model `{pipeline.identity.name}`, weights `{pipeline.identity.weights_sha256[:12]}`; {machine(device)}."
    path = write_words(report, output, made_by)
    typer.echo(words_as_markdown(report, made_by))
    typer.echo(f"Written: {path}")


def _methods(
    method: str, model: str, device: str, quality: list[str] | None
) -> tuple[tuple[Method, ...], DiffuGTSPipeline | None]:
    """What is evaluated, and the model behind it where it is one of ours."""
    from diffugts.allocation import keep_freed_memory
    from diffugts.baselines.catalogue import find_baseline
    from diffugts.evaluation.methods import PipelineMethod
    from diffugts.models import find_model, load_pipeline
    from diffugts.protocol import Quality

    known = [level.value for level in Quality]
    strange = [level for level in quality or () if level not in known]
    if strange:
        raise RequestError(f"--quality is '{strange[0]}', expected one of {', '.join(known)}.")
    keep_freed_memory()
    if method != "diffugts":
        return (find_baseline(method, device),), None
    pipeline = load_pipeline(find_model(model), device)
    return tuple(PipelineMethod(pipeline, level) for level in quality or known), pipeline


def _layout(name: str | None) -> Layout | None:
    from diffugts.evaluation.layouts import Layout

    if name is None:
        return None
    known = [layout.value for layout in Layout]
    if name not in known:
        raise RequestError(f"--layout is '{name}', expected one of {', '.join(known)}.")
    return Layout(name)


def _made_by(methods: tuple[Method, ...]) -> str:
    identity = methods[0].identity
    weights = identity.get("weights_sha256", "")
    name = f"Model `{identity['model']}`" if "model" in identity else f"`{identity['method']}`"
    return f"{name}, weights `{weights[:12]}`" if weights else name
