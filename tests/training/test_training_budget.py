"""Budgets of iterations and hours, and a loss that leaves its band."""

import time

import pytest

from lsm.training.budget import Budget, LossBand


def test_iterations_are_the_measure_where_they_are_given():
    budget = Budget({"total_iter": 200}, on_cpu=True, spent=1e9)
    assert [budget.progress(done) for done in (0, 50, 200, 300)] == [0, 0.25, 1, 1]
    assert (budget.ended(199), budget.ended(200)) == (False, True)
    assert budget.seconds_left(150, 2.0) == 100


def test_hours_count_the_processor_and_not_the_waiting():
    budget = Budget({"budget_hours": 1}, on_cpu=True, spent=1800)
    budget.start()
    time.sleep(0.2)
    budget.stop()
    assert budget.spent - 1800 < 0.1
    assert budget.progress(7) == pytest.approx(0.5, abs=1e-3) and not budget.ended(10**9)
    budget.start()
    end = time.process_time() + 0.1
    while time.process_time() < end:
        pass
    budget.stop()
    budget.stop()  # counts nothing twice
    assert 0.1 <= budget.spent - 1800 < 0.4
    budget.spent = 3600
    assert budget.ended(1) and budget.progress(1) == 1 and budget.seconds_left(1, 1.0) == 0


def test_a_loss_out_of_its_band_is_told_once_an_excursion():
    band = LossBand(factor=1.5, horizon=50)
    falling = [1 / (1 + index / 50) for index in range(500)]
    assert not any(band.note(loss) for loss in falling)
    least = band.least
    told = [line for _ in range(300) if (line := band.note(3 * least))]
    assert len(told) == 1 and "left its band" in told[0]
    assert not any(band.note(least) for _ in range(400))
    assert any(band.note(3 * least) for _ in range(300))


def test_a_band_goes_on_from_its_state():
    whole, halves = LossBand(horizon=20), LossBand(horizon=20)
    for index in range(100):
        whole.note(index % 7)
        halves.note(index % 7)
        halves = LossBand(halves.state(), horizon=20)
    assert halves.state() == whole.state()
