"""Train the variants of a plan with several seeds each, and compare them image by image; restartable.

python scripts/ablate.py experiments/plans/recurrence.yml --data datasets --jobs 2

Finished trainings are kept, begun ones resumed. The report holds table.md (means over seeds; differences from the
reference ± half of their 95 % interval over the seeds [their 95 % interval over the images], bold where both exclude
zero), results.json with every image, and curves.svg (needs the extra `report`).
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from lsm.cli import user_errors


def ablate(
    plan_file: Annotated[Path, typer.Argument(help="The plan, YAML.", show_default=False)],
    data: Annotated[Path, typer.Option(help="Folder of the test sets.")] = Path("datasets"),
    report: Annotated[
        Path | None, typer.Option(help="Folder of the report.", show_default="results/ablate-NAME")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Trainings, then measuring processes, at once.")] = 1,
    train: Annotated[bool, typer.Option(help="Whether to train, or only to compare what is finished.")] = True,
    compare: Annotated[bool, typer.Option(help="Whether to compare, or only to train.")] = True,
) -> None:
    """Train and compare the variants of a plan."""
    from lsm.ablation.plan import list_runs, read_plan
    from lsm.ablation.report import draw_curves, table
    from lsm.ablation.runs import read_curve, train_all
    from lsm.benchmark.results import write_json
    from lsm.benchmark.runner import run
    from lsm.benchmark.settings import BenchmarkOptions
    from lsm.errors import InputError
    from lsm.files import write_text

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    plan = read_plan(plan_file)
    report = report or Path("results") / f"ablate-{plan.name}"
    report.mkdir(parents=True, exist_ok=True)
    runs = list_runs(plan)
    if train:
        train_all(runs, report / "runs", jobs)
    if not compare:
        return
    runs = [each for each in runs if each.weights.is_file()]
    if not any(each.variant == plan.reference for each in runs):
        raise InputError(f"{plan_file}: no training of the reference {plan.reference} is finished.")
    methods = ",".join(f"{each.name}={each.weights}" for each in runs)
    scale = runs[0].options["scale"]
    results = run(BenchmarkOptions(data, tuple(plan.sets), (scale,), methods, report, jobs=jobs, crops=0))
    curves = {each.name: read_curve(each) for each in runs}
    write_json(results, report / "results.json")
    text = table(plan, runs, results, curves)
    write_text(report / "table.md", text)
    print(text)
    write_text(report / "curves.svg", draw_curves(runs, curves))


if __name__ == "__main__":
    with user_errors():
        typer.run(ablate)
