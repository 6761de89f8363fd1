"""What a benchmark compares and how it runs, and the protocol's name that follows from that."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from lsm.errors import OptionError, unknown_name
from lsm.inference.device import check_precision
from lsm.metrics import CHANNELS, LPIPS_PROTOCOL, PROTOCOL, REAL_PROTOCOL, Channel

Family = Literal["classical-sr", "real-sr"]
FAMILIES: tuple[Family, ...] = get_args(Family)


@dataclass(frozen=True)
class Settings:
    """What a figure depends on besides the network and the images.

    Attributes:
        channel: "y" or "rgb", see `lsm.metrics.PROTOCOL`.
        tile: Side of tiles in low-resolution pixels; 0 runs images whole, as the protocol asks.
        tile_overlap: Low-resolution pixels that neighbouring tiles share.
        precision: "fp32", "bf16" or "fp16".
        device: As `lsm.inference.device.pick_device` takes it.
        ensemble: Whether networks use self-ensemble, the mean over 8 flips and turns; their labels then end in "+".
        recurrence: "paper" or "official" for LSM networks; none for what their weights say.
        family: "classical-sr"; or "real-sr", which measures every set in all conditions of `lsm.data.real_sr`.
        lpips: Whether LPIPS is measured too, see `lsm.metrics.LPIPS_PROTOCOL`; it needs the extra `perceptual`.
    """

    channel: Channel = "y"
    tile: int = 0
    tile_overlap: int = 32
    precision: str = "fp32"
    device: str = "auto"
    ensemble: bool = False
    recurrence: str | None = None
    family: Family = "classical-sr"
    lpips: bool = False

    def __post_init__(self) -> None:
        """Check the values that nothing else checks before the run.

        Raises:
            OptionError: On a value that is not known.
        """
        if self.channel not in CHANNELS:
            raise OptionError(unknown_name("channel", self.channel, CHANNELS))
        if self.family not in FAMILIES:
            raise OptionError(unknown_name("protocol", self.family, FAMILIES))
        check_precision(self.precision)
        if self.tile < 0 or self.tile_overlap < 0:
            raise OptionError(f"Tiles of {self.tile} with an overlap of {self.tile_overlap}: neither may be negative.")

    @property
    def protocol(self) -> str:
        """The protocol's name; everything that departs from whole images in fp32 is in it."""
        parts = [f"{self.family}-{self.channel}"]
        if self.tile:
            parts.append(f"tiled-{self.tile}-{self.tile_overlap}")
        if self.precision != "fp32":
            parts.append(self.precision)
        return "-".join(parts)

    @property
    def protocol_text(self) -> str:
        """The protocol in words."""
        text = PROTOCOL if self.family == "classical-sr" else REAL_PROTOCOL + PROTOCOL
        return text + LPIPS_PROTOCOL if self.lpips else text


@dataclass(frozen=True)
class BenchmarkOptions:
    """What to compare on what.

    Attributes:
        data: Root of the sets.
        sets: Names of sets, in any common spelling.
        scales: Scales.
        methods: Methods as `lsm.benchmark.methods.parse_methods` reads them.
        report: Folder of the results, and of the journal by which a killed run goes on.
        settings: How the methods run.
        limit: Images of each set at most; none for all.
        jobs: Processes on this machine.
        crops: Images of each set and scale whose crops the report shows.
        visual: Folder for all results as images; none to keep none.
        fresh: Whether to measure everything anew.
    """

    data: Path
    sets: tuple[str, ...]
    scales: tuple[int, ...]
    methods: str
    report: Path
    settings: Settings = field(default_factory=Settings)
    limit: int | None = None
    jobs: int = 1
    crops: int = 8
    visual: Path | None = None
    fresh: bool = False
