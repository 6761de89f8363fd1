"""Whatever times a file states → when each frame and packet is shown, strictly increasing and from zero.

Pure functions. Files state times that start anywhere (broadcast captures), below zero, start anew in the middle
(captures that were joined), wrap at 2³³ (MPEG), or are not there at all (AVI); one rule covers them. All streams move
together.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

MPEG_WRAP = 2**33
"""Ticks of 90 kHz after which the clock of MPEG's streams begins again at zero."""

_LONGEST_LAG = Fraction(1, 10)  # seconds by which a stream may fall behind before what overlaps is left out


class Stamp(NamedTuple):
    """What a file says of one frame or packet, in ticks of its stream; None where it says nothing.

    Attributes:
        pts: When it is shown.
        dts: When it is decoded.
        duration: For how long it is shown; 0 if unknown.
    """

    pts: int | None
    dts: int | None
    duration: int


@dataclass(frozen=True)
class Track:
    """A stream's stamps: those of frames in the order in which they are shown, or of packets in the file's order.

    Attributes:
        stamps: One a frame or packet.
        time_base: Seconds of a tick.
        step: Usual ticks from one to the next.
        lead_in: Ticks at the beginning that are decoded and not presented, as an audio encoder's priming.
        sparse: Whether gaps and overlaps are usual, as with subtitles.
    """

    stamps: Sequence[Stamp]
    time_base: Fraction
    step: int
    lead_in: int = 0
    sparse: bool = False


def presentation_times(
    tracks: Sequence[Track], wrap: int | None = None, longest_gap: Fraction | None = None
) -> list[list[int | None]]:
    """Return the time of every stamp, in ticks of its track.

    Within a track they increase strictly. The earliest that is presented in any track is at zero; only a lead-in lies
    before it. Where the clock starts anew, the first track goes on without a gap and the others keep their distance
    to it, unless they would overlap with themselves.

    Args:
        tracks: The streams; the first one's clock is followed.
        wrap: Ticks at which the clocks wrap, if they do.
        longest_gap: Seconds; a longer step forward is a clock that starts anew too. None: no step is too long.

    Returns:
        A list a track. None stands only in tracks other than the first, for what lies wholly in the time of packets
        before a clock started anew, and would push the stream ever further behind.
    """
    raw = [_complete(track, wrap) for track in tracks]
    parts = [_parts(times, track, longest_gap) for times, track in zip(raw, tracks, strict=True)]
    lead = _shifts(raw[0], parts[0], tracks[0])
    placed = [_placed(raw[0], parts[0], lead, tracks[0])]
    for times, starts, track in zip(raw[1:], parts[1:], tracks[1:], strict=True):
        if len(starts) == len(parts[0]) or track.sparse:
            common = lead[: len(starts)] + lead[-1:] * (len(starts) - len(lead))
        else:
            common = _shifts(times, starts, track)
        placed.append(_placed(times, starts, common, track))
    firsts = [
        (next(time for time in times if time is not None) + track.lead_in) * track.time_base
        for times, track in zip(placed, tracks, strict=True)
        if times
    ]
    zero = min(firsts, default=Fraction(0))
    return [
        [None if time is None else time - round(zero / track.time_base) for time in times]
        for times, track in zip(placed, tracks, strict=True)
    ]


def _complete(track: Track, wrap: int | None) -> list[int]:
    """Choose between the two times of each stamp, undo wraps, and fill in what is missing or a stray."""
    pts, dts = [stamp.pts for stamp in track.stamps], [stamp.dts for stamp in track.stamps]
    by_dts = _faults(dts) < _faults(pts)
    if by_dts and _faults([one for one in pts if one is not None]) == 0:  # right where they are, but some are missing
        chosen, distance = (
            [],
            next((p - d for p, d in zip(pts, dts, strict=True) if p is not None and d is not None), 0),
        )
        for p, d in zip(pts, dts, strict=True):
            distance = p - d if p is not None and d is not None else distance
            chosen.append(p if p is not None else None if d is None else d + distance)
    else:
        chosen = dts if by_dts else pts
    times: list[int] = []
    lost = 0  # whole rounds of the clock
    for index, time in enumerate(chosen):
        step = (track.stamps[index - 1].duration if index else 0) or track.step
        if time is None:
            times.append(times[-1] + step if times else _first_known(chosen, track.step))
            continue
        if wrap and times:
            lost = -round((time - times[-1]) / wrap) * wrap
        time += lost
        following = chosen[index + 1] if index + 1 < len(chosen) else None
        if times and following is not None:
            following += lost
            stray = not times[-1] < time < following
            if stray and times[-1] < following <= times[-1] + 3 * step:  # the next goes on as if this one were right
                time = times[-1] + (following - times[-1]) // 2
        times.append(time)
    return times


def _first_known(chosen: Sequence[int | None], step: int) -> int:
    """Reckon the first time back from the first that is known."""
    return next((time - step * index for index, time in enumerate(chosen) if time is not None), 0)


def _faults(times: Sequence[int | None]) -> int:
    """Count what is missing and what does not increase."""
    known = [time for time in times if time is not None]
    return len(times) - len(known) + sum(b <= a for a, b in itertools.pairwise(known))


def _parts(times: Sequence[int], track: Track, longest_gap: Fraction | None) -> list[int]:
    """Return where the clock starts anew: the indices of the first stamps of all parts, 0 among them."""
    starts = [0] if times else []
    for index in range(1, len(times)):
        difference = times[index] - times[index - 1]
        ahead = longest_gap is not None and not track.sparse and difference * track.time_base > longest_gap
        if difference <= -2 * track.step or ahead:
            starts.append(index)
    return starts


def _shifts(times: Sequence[int], starts: Sequence[int], track: Track) -> list[Fraction]:
    """Return the seconds by which each part moves, so that each begins where the one before it ends."""
    shifts = [Fraction(0)]
    for start in starts[1:]:
        last = start - 1
        end = times[last] + (track.stamps[last].duration or track.step)
        shifts.append(shifts[-1] + (end - times[start]) * track.time_base)
    return shifts


def _placed(times: Sequence[int], starts: Sequence[int], shifts: Sequence[Fraction], track: Track) -> list[int | None]:
    """Move the parts, and see that times increase."""
    placed: list[int | None] = []
    last, end = None, None  # time of the last that is placed, and where it ends
    ends = [*starts[1:], len(times)][: len(starts)]
    for number, (start, stop) in enumerate(zip(starts, ends, strict=True)):
        shift = round(shifts[number] / track.time_base)
        lag = 0 if end is None or track.sparse else max(0, end - times[start] - shift)
        dropping = number > 0 and lag * track.time_base > _LONGEST_LAG
        for index in range(start, stop):
            time, duration = times[index] + shift, track.stamps[index].duration or track.step
            if dropping and end is not None:
                if time + duration <= end and index + 1 < stop:
                    placed.append(None)
                    continue
                lag, dropping = max(0, end - time), False
            time += lag if number else 0
            last = time if last is None else max(time, last + 1)
            end = last + duration
            placed.append(last)
    return placed
