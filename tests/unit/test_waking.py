"""The loop is woken at once by whoever answers alone, and once by whoever answers a group."""

import threading

import pytest

from app.waking import Waking


class Loop:
    """Counts how often it is woken."""

    def __init__(self) -> None:
        self.woken = 0

    def wake(self) -> None:
        self.woken += 1


def test_whoever_answers_alone_wakes_it_at_once() -> None:
    waking, loop = Waking(), Loop()
    wake = waking.later(loop.wake)
    wake()
    assert loop.woken == 1
    with waking.once():
        pass
    wake()
    assert loop.woken == 2


def test_whoever_answers_a_group_wakes_each_loop_once_when_all_are_written() -> None:
    waking, one, other = Waking(), Loop(), Loop()
    calls = [waking.later(loop.wake) for loop in (one, one, other)]
    with waking.once():
        for call in calls * 3:
            call()
        assert (one.woken, other.woken) == (0, 0)
    assert (one.woken, other.woken) == (1, 1)


def test_it_is_woken_when_an_answer_fails() -> None:
    waking, loop = Waking(), Loop()

    def answer() -> None:
        with waking.once():
            waking.later(loop.wake)()
            raise ValueError("bug")

    with pytest.raises(ValueError, match="bug"):
        answer()
    assert loop.woken == 1


def test_another_thread_wakes_it_at_once_meanwhile() -> None:
    waking, loop = Waking(), Loop()
    with waking.once():
        thread = threading.Thread(target=waking.later(loop.wake))
        thread.start()
        thread.join()
        assert loop.woken == 1
