"""The table of docs/mixers.md, made from the docstrings and from built mixers."""

from __future__ import annotations

from lsm.mixers.registry import MIXERS, build_mixer, describe_mixer

BEGIN, END = "<!-- table of the mixers: python scripts/mixer_docs.py -->", "<!-- end of the table -->"


def markdown_table(dim: int = 48) -> str:
    """Write a row for each mixer: name, class, paper, equation, cost and parameters, the last also as a number.

    Args:
        dim: C of the number.
    """
    heading = ("name", "class", "what it computes", "paper", "equation", "cost", "parameters", f"at C = {dim}")
    rows = [heading, ("---",) * len(heading)]
    for entry in MIXERS:
        text = describe_mixer(entry.name)
        count = sum(parameter.numel() for parameter in build_mixer(entry.name, dim).parameters())
        cells = (text.summary, text.paper, text.equation, text.cost, text.parameters)
        rows.append((f"`{entry.name}`", entry.kind.__name__, *cells, f"{count:,}"))
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)
