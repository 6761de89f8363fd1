"""Times of any file → strictly increasing times from zero: properties."""

import itertools
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsm.video.times import MPEG_WRAP, Stamp, Track, presentation_times

TICK = Fraction(1, 90000)
GAPS = st.lists(st.integers(1, 9000), min_size=1, max_size=40)


def track(times, step=3600, **more):
    return Track([Stamp(time, None, 0) for time in times], TICK, step, **more)


def running(gaps, start=0):
    times = [start]
    for gap in gaps:
        times.append(times[-1] + gap)
    return times


@given(GAPS, st.integers(-(2**40), 2**40))
def test_good_times_only_move_to_zero(gaps, start):
    assert presentation_times([track(running(gaps, start))]) == [running(gaps)]


@given(GAPS, st.integers(0, MPEG_WRAP - 1))
def test_a_clock_that_wraps_is_one_that_does_not(gaps, start):
    wrapped = [time % MPEG_WRAP for time in running(gaps, start)]
    for longest in (None, Fraction(10)):
        assert presentation_times([track(wrapped)], MPEG_WRAP, longest) == [running(gaps)]


any_time = st.one_of(st.none(), st.integers(-(2**34), 2**34))
any_stamp = st.builds(Stamp, any_time, any_time, st.integers(0, 10000))
any_track = st.builds(
    Track,
    st.lists(any_stamp, max_size=30),
    st.sampled_from([TICK, Fraction(1, 1000), Fraction(1, 25), Fraction(1, 48000)]),
    st.integers(1, 4000),
    sparse=st.booleans(),
)


@given(
    st.lists(any_track, min_size=1, max_size=3),
    st.sampled_from([None, MPEG_WRAP]),
    st.sampled_from([None, Fraction(10)]),
)
def test_any_times_become_increasing_ones_from_zero(tracks, wrap, longest):
    made = presentation_times(tracks, wrap, longest)
    for times, one in zip(made, tracks, strict=True):
        assert len(times) == len(one.stamps)
        kept = [time for time in times if time is not None]
        assert bool(kept) == bool(times)
        assert all(a < b for a, b in itertools.pairwise(kept))
    assert None not in made[0]
    starts = [
        next(t for t in times if t is not None) * one.time_base
        for times, one in zip(made, tracks, strict=True)
        if times
    ]
    assert 0 <= min(starts, default=0) <= max(one.time_base for one in tracks)


@given(st.integers(3, 30), st.integers(0, 2**33), st.integers(0, 2**33))
def test_joined_clips_go_on_without_a_gap(count, first, second):
    """Whether the second clock is behind, or far ahead."""
    if abs(second - first - 3600 * (count - 1)) < 10 * 90000 and second > first:
        second = first
    times = [first + 3600 * i for i in range(count)] + [second + 3600 * i for i in range(count)]
    assert presentation_times([track(times)], None, Fraction(10)) == [[3600 * i for i in range(2 * count)]]


@given(st.permutations(range(1, 9)))
def test_without_usable_pts_the_order_of_decoding_gives_the_times(order):
    """An AVI states for each packet when it is decoded; what FFmpeg makes of it does not increase."""
    times = [0, *order]
    stamps = [Stamp(pts, dts, 1) for dts, pts in enumerate(times)]
    if times == sorted(times):
        return
    assert presentation_times([Track(stamps, Fraction(1, 25), 1)]) == [list(range(9))]
    none = [Stamp(None, stamp.dts, 1) for stamp in stamps]
    assert presentation_times([Track(none, Fraction(1, 25), 1)]) == [list(range(9))]


def test_missing_pts_are_filled_in_between_those_that_are_there():
    stamps = [Stamp(7200 + 3600 * i if i % 5 == 0 else None, 3600 * i, 3600) for i in range(20)]
    other = track([0, 1920])
    assert presentation_times([Track(stamps, TICK, 3600), other])[0] == [7200 + 3600 * i for i in range(20)]


@pytest.mark.parametrize("stray", [0, 10**9, 450000])
def test_one_stray_time_moves_no_other(stray):
    times = [100000 + 3600 * i for i in range(20)]
    times[7] = stray
    made = presentation_times([track(times)], None, Fraction(10))[0]
    assert [*made[:7], *made[8:]] == [3600 * i for i in range(20) if i != 7]
    assert made[6] < made[7] < made[8]


def test_streams_keep_their_distance():
    """Video that begins 50 ms after the audio; both in captures that start anew, twice."""
    video = [4500 + 3600 * i for i in range(25)] * 3
    audio = [1920 * i for i in range(48)] * 3
    made = presentation_times([track(video), Track([Stamp(t, t, 1920) for t in audio], TICK, 1920)])
    assert made[0] == [4500 + 3600 * i for i in range(75)]
    assert made[1] == [1920 * i for i in range(144)]


def test_a_stream_that_would_fall_behind_loses_what_overlaps():
    """Audio half a second longer than the video of each part."""
    video = [3600 * i for i in range(25)] * 4
    audio = [1920 * i for i in range(70)] * 4
    made = presentation_times([track(video), Track([Stamp(t, t, 1920) for t in audio], TICK, 1920)])
    assert made[0] == [3600 * i for i in range(100)]
    kept = [time for time in made[1] if time is not None]
    assert None in made[1]
    for part in range(1, 4):
        own = made[1][70 * part : 70 * part + 70]
        first = next(i for i, time in enumerate(own) if time is not None)
        assert 0 <= own[first] - (90000 * part + 1920 * first) < 1920  # at most one packet late
    assert all(b - a >= 1920 for a, b in itertools.pairwise(kept))


def test_a_lead_in_stays_before_zero():
    made = presentation_times([track([0, 3600]), track([-1024, 0], lead_in=1024)])
    assert made == [[0, 3600], [-1024, 0]]


def test_a_long_still_image_stays_where_clocks_do_not_start_anew():
    assert presentation_times([track([0, 3600, 10**8])]) == [[0, 3600, 10**8]]
