"""Training of denoisers: resumable, with validation on signals that are never trained on, and early stopping."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset

from lsm.audio.bidirectional import BidirectionalDenoiser
from lsm.audio.checkpoint import Denoiser, Network, build_network, load_denoiser, save_denoiser
from lsm.audio.data import MixtureDataset, Pair, PairDataset, Recipe, find_audio, hold_out
from lsm.audio.losses import denoising_loss
from lsm.audio.metrics import si_sdr
from lsm.audio.spectrogram import save_spectrograms
from lsm.audio.streaming import StreamingDenoiser
from lsm.errors import CheckpointError, OptionError, first_line
from lsm.files import append_line, atomic_file
from lsm.weights.pth import load_pth

VALIDATION_SIGNALS = 48
"""Mixtures of 2 s that each epoch is judged by; the same in every epoch and run of a seed."""


@dataclass(frozen=True)
class TrainOptions:
    """How a denoiser is trained.

    Args:
        out: Folder of the run.
        kind: Network, see `checkpoint.NETWORKS`.
        settings: The network's own arguments.
        clean: Folder of clean files.
        noise: Folder of noise files.
        noisy: Folder of noisy files with the names of the clean ones; then nothing is mixed.
        snr: Range of the mixtures' signal-to-noise ratios in dB.
        synthetic: See `Recipe`.
        simple: See `Recipe`.
        seconds: Length of the training signals.
        rate: Sampling rate in Hz.
        batch: Signals in a step.
        epochs: Epochs at most; the learning rate falls along a cosine to 0 over all of them.
        epoch_steps: Steps of an epoch; each ends with a validation and a checkpoint.
        rate_peak: Highest learning rate, after the warm-up of the first 100 steps.
        patience: Epochs without a better validation after which training stops.
        workers: Processes that mix signals; 0 for none.
        seed: Of parameters and signals.
        resume: Whether to go on from the folder's checkpoint.
        init: Name or file of a denoiser to begin from, of the same settings; a causal one fits bidirectional too.
        tensorboard: Whether to write TensorBoard's files as well.
    """

    out: Path
    kind: str = "unet"
    settings: dict[str, Any] = field(default_factory=dict)
    clean: Path | None = None
    noise: Path | None = None
    noisy: Path | None = None
    snr: tuple[float, float] = (0.0, 20.0)
    synthetic: float = 0.0
    simple: float = 0.0
    seconds: float = 2.0
    rate: int = 16000
    batch: int = 16
    epochs: int = 50
    epoch_steps: int = 200
    rate_peak: float = 1e-3
    patience: int = 10
    workers: int = 0
    seed: int = 0
    resume: bool = False
    init: str | None = None
    tensorboard: bool = False


def train(options: TrainOptions) -> float:
    """Train a denoiser; `best.safetensors`, `history.jsonl` and a spectrogram image appear in the run's folder.

    Returns:
        The best SI-SDR of the validation signals, in dB.

    Raises:
        OptionError: If an option is impossible, or the folder holds a run and `resume` is off.
        InputError: If there is no audio where it should be.
        CheckpointError: If there is nothing to resume from, or it does not fit.
    """
    run = _Run(options)
    for epoch in range(run.epoch, options.epochs):
        loss = run.train_epoch(epoch)
        score = run.validate(epoch, loss)
        if run.stale >= options.patience:
            print(f"No better validation for {run.stale} epochs; stopped at {score:.2f} dB, best {run.best:.2f} dB.")
            break
    return run.best


def datasets(options: TrainOptions, first_step: int = 0) -> tuple[Dataset[Pair], Dataset[Pair]]:
    """Make the signals to train on, from a step on, and those to validate with; they share no clean file.

    Raises:
        OptionError: If the folders do not go together.
        InputError: If there is no audio where it should be.
    """
    length = round(options.seconds * options.rate)
    first, count = first_step * options.batch, options.epochs * options.epoch_steps * options.batch
    if options.noisy is not None:
        if options.clean is None:
            raise OptionError("Noisy files need their clean ones: give `clean` as well.")
        pairs = PairDataset(options.noisy, options.clean, length, options.rate, options.seed)
        held = set(range(len(pairs))[19::20]) or {len(pairs) - 1}
        train_items = [index for index in range(len(pairs)) if index not in held] or list(held)
        order = torch.randint(len(train_items), (count,), generator=torch.Generator().manual_seed(options.seed))
        return Subset(pairs, [train_items[i] for i in order[first:]]), Subset(pairs, sorted(held))
    clean = hold_out(find_audio(options.clean)) if options.clean else ((), ())
    noise = hold_out(find_audio(options.noise)) if options.noise else ((), ())
    recipes = [Recipe(c, n, options.snr, options.synthetic, options.simple) for c, n in zip(clean, noise, strict=True)]
    mixtures = MixtureDataset(recipes[0], length, options.rate, count, options.seed)
    validation = MixtureDataset(
        recipes[1], 2 * options.rate, options.rate, VALIDATION_SIGNALS, options.seed + 1_000_000
    )
    return Subset(mixtures, range(first, count)), validation


def learning_rate(step: int, total: int, peak: float, warmup: int = 100) -> float:
    """Return the rate of a step, 0 for the first: a linear rise to `peak`, then half a cosine down to 0."""
    if step < warmup:
        return peak * (step + 1) / warmup
    return 0.5 * peak * (1 + math.cos(math.pi * min(1.0, (step - warmup) / max(1, total - warmup))))


def normalized(noisy: Tensor, clean: Tensor) -> Pair:
    """Divide pairs (B, 1, T) by the root mean square of each noisy signal."""
    level = noisy.square().mean(dim=-1, keepdim=True).sqrt().clamp_min(1e-6)
    return noisy / level, clean / level


class _Run:
    """The state of a training: network, optimiser, what is done and what was best."""

    def __init__(self, options: TrainOptions) -> None:
        self.options = options
        self.state_path = options.out / "state.pt"
        torch.manual_seed(options.seed)
        self.network = build_network(options.kind, options.settings)
        if options.init and not options.resume:
            _begin_from(options.init, self.network)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=options.rate_peak, weight_decay=0.0)
        self.epoch, self.best, self.stale = 0, -math.inf, 0
        if options.resume:
            self._load()
        elif self.state_path.exists():
            raise OptionError(f"{options.out} holds a training already; give `resume`, or another folder.")
        options.out.mkdir(parents=True, exist_ok=True)
        train_set, validation = datasets(options, self.epoch * options.epoch_steps)
        self.batches = iter(DataLoader(train_set, options.batch, num_workers=options.workers, drop_last=True))
        self.validation = [
            normalized(*pair)
            for pair in DataLoader(validation, min(16, len(validation)))  # type: ignore[arg-type]
        ]
        self.writer = _tensorboard(options.out) if options.tensorboard else None

    def train_epoch(self, epoch: int) -> float:
        """Run the steps of an epoch and return their mean loss."""
        steps, start, total = self.options.epoch_steps, time.perf_counter(), 0.0
        self.network.train()
        for step in range(epoch * steps, (epoch + 1) * steps):
            for group in self.optimizer.param_groups:
                group["lr"] = learning_rate(step, self.options.epochs * steps, self.options.rate_peak)
            noisy, clean = normalized(*next(self.batches))
            loss = denoising_loss(self.network(noisy)[:, 0], clean[:, 0])
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
            self.optimizer.step()
            total += loss.item()
        self.seconds = (time.perf_counter() - start) / steps
        self.epoch = epoch + 1
        return total / steps

    @torch.no_grad()
    def validate(self, epoch: int, loss: float) -> float:
        """Measure the validation signals, keep what is best, and write a checkpoint; return the SI-SDR in dB."""
        self.network.eval()
        scores, before, example = [], [], None
        for noisy, clean in self.validation:
            estimate = self.network(noisy)
            audible = clean.square().mean(dim=(-1, -2)) > 1e-6  # SI-SDR against silence is no number
            scores.append(si_sdr(estimate, clean)[audible, 0])
            before.append(si_sdr(noisy, clean)[audible, 0])
            example = example or (noisy[0, 0], estimate[0, 0], clean[0, 0])
        score, noisy_score = torch.cat(scores).mean().item(), torch.cat(before).mean().item()
        self.stale = 0 if score > self.best else self.stale + 1
        if score > self.best and example is not None:
            self.best = score
            save_denoiser(Denoiser(self.network, self.options.rate), self.options.out / "best.safetensors")
            image = self.options.out / "spectrograms.png"
            save_spectrograms(image, dict(zip(("noisy", "denoised", "clean"), example, strict=True)), self.options.rate)
        self._log({"epoch": epoch + 1, "loss": loss, "si_sdr": score, "si_sdr_noisy": noisy_score, "best": self.best})
        self._save()
        return score

    def _log(self, numbers: dict[str, float]) -> None:
        line = {**numbers, "seconds_per_step": self.seconds, "lr": self.optimizer.param_groups[0]["lr"]}
        append_line(self.options.out / "history.jsonl", json.dumps(line))
        print(
            "epoch {epoch:3.0f}  loss {loss:.4f}  SI-SDR {si_sdr:.2f} dB (noisy {si_sdr_noisy:.2f}, best {best:.2f})  "
            "{seconds_per_step:.3f} s/step".format(**line),
            flush=True,
        )
        if self.writer is not None:
            for name, value in line.items():
                self.writer.add_scalar(name, value, numbers["epoch"])

    def _save(self) -> None:
        content = {
            **{"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()},
            **{"epoch": self.epoch, "best": self.best, "stale": self.stale},
        }
        with atomic_file(self.state_path) as file:
            torch.save(content, file)

    def _load(self) -> None:
        if not self.state_path.is_file():
            raise CheckpointError(f"There is nothing to resume from in {self.options.out}: no state.pt.")
        try:
            content = load_pth(self.state_path)
            self.network.load_state_dict(content["network"])
            self.optimizer.load_state_dict(content["optimizer"])
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"Cannot resume from {self.state_path}: {first_line(error)}") from error
        self.epoch, self.best, self.stale = content["epoch"], content["best"], content["stale"]


def _begin_from(name: str, network: Network) -> None:
    """Copy the parameters of a denoiser into a network, or into the causal one inside it.

    Raises:
        CheckpointError: If they do not fit, or there is no such denoiser.
    """
    source = load_denoiser(name).network
    target: Network = network
    if isinstance(network, BidirectionalDenoiser) and isinstance(source, StreamingDenoiser):
        target = network.one_way
    try:
        target.load_state_dict(source.state_dict())
    except RuntimeError as error:
        raise CheckpointError(f"{name} is another network than the one to train: {first_line(error)}") from error


def _tensorboard(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise OptionError("`tensorboard` needs the package of that name: pip install tensorboard.") from error
    return SummaryWriter(str(folder))
