"""Comparing two benchmarks image by image, with how sure one can be of the difference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import stdev

import numpy as np

from lsm.benchmark.results import ImageResult, Results
from lsm.errors import InputError, OptionError, needs_extra, unknown_name
from lsm.metrics import LPIPS_PROTOCOL

DRAWS = 10_000
"""Resamplings of a bootstrap."""


@dataclass(frozen=True)
class Interval:
    """A mean with its 95% interval.

    Attributes:
        mean: The mean over the images.
        low: Lower end.
        high: Upper end.
    """

    mean: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval lies on one side of zero."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Comparison:
    """One method against another on one set at one scale; all differences are second minus first.

    Attributes:
        first: Label in the first file.
        second: Label in the second file.
        image_set: Name of the set.
        scale: Scale.
        images: Names of the images compared.
        psnr: Difference of each, dB.
        ssim: Difference of each.
        psnr_interval: Mean difference of PSNR and its interval.
        ssim_interval: Mean difference of SSIM and its interval.
        left_out: Images in both files that were not compared, since the files measured had other bytes.
        lpips: Difference of each; none unless both files have it of all these images.
        lpips_interval: Mean difference of LPIPS and its interval; none likewise.
    """

    first: str
    second: str
    image_set: str
    scale: int
    images: tuple[str, ...]
    psnr: tuple[float, ...]
    ssim: tuple[float, ...]
    psnr_interval: Interval
    ssim_interval: Interval
    left_out: int
    lpips: tuple[float, ...] | None = None
    lpips_interval: Interval | None = None


def paired_bootstrap(differences: Sequence[float], draws: int = DRAWS, seed: int = 0) -> Interval:
    """Estimate how far the mean of paired differences may be off: the percentile bootstrap over images.

    Args:
        differences: One for each image, finite.
        draws: How often the images are drawn anew, with replacement.
        seed: Of the drawing; the same differences give the same interval.

    Returns:
        The mean, and the 2.5th and 97.5th percentile of the drawn means.

    Raises:
        InputError: If there are no differences, or one is infinite.
    """
    values = np.asarray(differences, np.float64)
    if not values.size or not np.isfinite(values).all():
        raise InputError("A mean difference needs images, none of which only one of the two reproduces exactly.")
    generator = np.random.default_rng(seed)
    drawn = [values[generator.integers(0, len(values), len(values))].mean() for _ in range(draws)]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Interval(float(values.mean()), float(low), float(high))


def seeds_margin(differences: Sequence[float]) -> float:
    """Estimate how far a mean difference may be off since trainings differ: half of Student's 95% interval.

    Args:
        differences: One for each seed, that is, for each pair of trainings.

    Returns:
        The half width; infinite for one seed, which says nothing of another.
    """
    with needs_extra("train", "The spread over seeds needs scipy"):
        from scipy.special import stdtrit

    count = len(differences)
    if count < 2:
        return math.inf
    return float(stdtrit(count - 1, 0.975)) * stdev(differences) / math.sqrt(count)


def compare(first: Results, second: Results, pairs: Sequence[tuple[str, str]] = ()) -> list[Comparison]:
    """Compare two results on the images that both have.

    Args:
        first: The reference.
        second: What is compared with it.
        pairs: Labels in the first and the second to compare; by default those that both have, or the only one of each.

    Returns:
        One comparison for each pair of labels, set and scale that both have.

    Raises:
        InputError: If protocols differ, or nothing is in both.
        OptionError: If a label is unknown.
    """
    # One of the two may have measured LPIPS too.
    texts = [results.protocol_text.removesuffix(LPIPS_PROTOCOL) for results in (first, second)]
    if first.protocol != second.protocol or texts[0] != texts[1]:
        raise InputError(f"Results of different protocols cannot be compared: {first.protocol} and {second.protocol}.")
    comparisons = []
    for label_a, label_b in pairs or _common_labels(first, second):
        rows_a, rows_b = _rows_of(first, label_a), _rows_of(second, label_b)
        for key in dict.fromkeys((row.image_set, row.scale) for row in rows_a.values()):
            found = _compare_set(label_a, label_b, key, rows_a, rows_b)
            if found:
                comparisons.append(found)
    if not comparisons:
        raise InputError("The two results have no image of the same set, scale and bytes in common.")
    return comparisons


def _common_labels(first: Results, second: Results) -> list[tuple[str, str]]:
    labels_a = list(dict.fromkeys(row.model for row in first.rows))
    labels_b = list(dict.fromkeys(row.model for row in second.rows))
    common = [(label, label) for label in labels_a if label in labels_b]
    if not common and len(labels_a) == len(labels_b) == 1:
        return [(labels_a[0], labels_b[0])]
    if not common:
        raise OptionError(
            f"No model is in both files ({', '.join(labels_a)}; {', '.join(labels_b)}); name two by `pair`."
        )
    return common


def _rows_of(results: Results, label: str) -> dict[tuple[str, int, str], ImageResult]:
    rows = {(row.image_set, row.scale, row.image): row for row in results.rows if row.model == label}
    if not rows:
        raise OptionError(unknown_name("model", label, {row.model for row in results.rows}))
    return rows


def _compare_set(
    first: str,
    second: str,
    key: tuple[str, int],
    rows_a: dict[tuple[str, int, str], ImageResult],
    rows_b: dict[tuple[str, int, str], ImageResult],
) -> Comparison | None:
    """Compare two methods on one set; none if no image is the same in both."""
    both = [name for name in rows_a if name[:2] == key and name in rows_b]
    same = [name for name in both if rows_a[name].data == rows_b[name].data]
    if not same:
        return None
    psnr = [_difference(rows_b[name].psnr, rows_a[name].psnr) for name in same]
    ssim = [rows_b[name].ssim - rows_a[name].ssim for name in same]
    pairs = [(rows_a[name].lpips, rows_b[name].lpips) for name in same]
    lpips = [b - a for a, b in pairs if a is not None and b is not None]
    has_lpips = len(lpips) == len(same)
    return Comparison(
        first=first,
        second=second,
        image_set=key[0],
        scale=key[1],
        images=tuple(name[2] for name in same),
        psnr=tuple(psnr),
        ssim=tuple(ssim),
        psnr_interval=paired_bootstrap(psnr),
        ssim_interval=paired_bootstrap(ssim),
        left_out=len(both) - len(same),
        lpips=tuple(lpips) if has_lpips else None,
        lpips_interval=paired_bootstrap(lpips) if has_lpips else None,
    )


def _difference(b: float, a: float) -> float:
    """Subtract; two perfect results differ by nothing."""
    return 0.0 if a == b else b - a
