"""Who has the model, and for how long."""

import threading
import time

import pytest

from discrete_ca.server.turns import Turns


class Clock:
    """Goes on only while somebody works."""

    now = 0.0

    def perf_counter(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    found = Clock()
    monkeypatch.setattr("discrete_ca.server.turns.time", found)
    return found


def work(turns, clock, steps, seconds, log, name):
    with turns.taking() as pass_on:
        for _ in range(steps):
            log.append(name)
            clock.now += seconds  # by whoever has the turn, one at a time
            pass_on()


def run(clock, *workers):
    turns, log = Turns(), []
    threads = [
        threading.Thread(target=work, args=(turns, clock, *args, log, i))
        for i, args in enumerate(workers)
    ]
    with turns.taking():  # until all of them wait
        for i, thread in enumerate(threads):
            thread.start()
            while len(turns) < i + 2:
                time.sleep(0.001)
    for thread in threads:
        thread.join(timeout=20)
    assert len(turns) == 0
    return log


def test_the_long_do_not_keep_out_the_short(clock):
    log = run(clock, (60, 0.002), (3, 0.002), (3, 0.002))
    assert max(i for i, name in enumerate(log) if name) < 10


def test_the_share_is_of_time(clock):
    log = run(clock, (10, 0.02), (10, 0.002))
    assert log[:14].count(1) >= 10  # ten times as many turns, a tenth as long


def test_one_at_a_time_and_errors_give_the_turn_back():
    turns, inside, worst = Turns(), [0], [0]

    def careless():
        try:
            with turns.taking() as pass_on:
                for _ in range(20):
                    inside[0] += 1
                    worst[0] = max(worst[0], inside[0])
                    time.sleep(0.0005)
                    inside[0] -= 1
                    pass_on()
                raise RuntimeError
        except RuntimeError:
            pass

    threads = [threading.Thread(target=careless) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert worst == [1] and len(turns) == 0
