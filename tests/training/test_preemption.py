"""A request to stop is a flag first, and an interruption when it is repeated."""

import os
import signal
import threading

import pytest

from jaxseg.training.preemption import stop_requests


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_raises_the_flag_and_the_handlers_come_back(number, capfd):
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with stop_requests() as stop:
        assert not stop
        assert not stop.anywhere()
        os.kill(os.getpid(), number)
        assert stop
        assert stop.anywhere()
        assert stop.by == number
        os.kill(os.getpid(), signal.SIGTERM)  # this one adds nothing
        assert stop.by
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
    assert capfd.readouterr().err.count("Stopping behind the step under way") == 1


def test_the_second_interrupt_is_one(capfd):
    before = signal.getsignal(signal.SIGINT)
    with stop_requests() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_the_handlers_come_back_after_an_error():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(RuntimeError, match="diverged"), stop_requests():
        raise RuntimeError("diverged")
    assert signal.getsignal(signal.SIGTERM) is before


def test_outside_the_main_thread_the_flag_stays_down():
    seen, before = [], signal.getsignal(signal.SIGTERM)

    def work():
        with stop_requests() as stop:
            seen.append((bool(stop), signal.getsignal(signal.SIGTERM)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(False, before)]
