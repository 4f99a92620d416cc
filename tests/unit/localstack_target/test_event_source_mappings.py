"""A trigger on LocalStack that is switched off: it has taken its last message when it says so."""

import threading

import event_source_mappings

stop = event_source_mappings.waiting(lambda worker: worker.stop())


class Worker:
    """What LocalStack has: a thread that polls until it is told not to, and then ends the poll that it is in."""

    def __init__(self) -> None:
        self._shutdown_event = threading.Event()
        self._poller_thread: threading.Thread | None = None
        self.polling = threading.Event()
        self.ended_polls = 0

    def start(self) -> None:
        self._poller_thread = threading.Thread(target=self._poll)
        self._poller_thread.start()

    def stop(self) -> None:
        self._shutdown_event.set()

    def _poll(self) -> None:
        self.polling.set()
        self._shutdown_event.wait()
        threading.Event().wait(0.05)
        self.ended_polls += 1


def test_a_trigger_that_is_switched_off_has_ended_its_last_poll() -> None:
    worker = Worker()
    worker.start()
    worker.polling.wait()
    stop(worker)
    assert worker.ended_polls == 1


def test_a_trigger_that_was_off_already_is_not_waited_for() -> None:
    worker = Worker()
    stop(worker)
    assert worker.ended_polls == 0
