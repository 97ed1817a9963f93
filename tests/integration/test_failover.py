"""A worker dies under load; nobody who asks notices."""

import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from openai import OpenAI

pytestmark = pytest.mark.real

CLIENTS = 8


def test_killed_worker_costs_no_answer(fleet, clips):
    """
    kill -9 of one of two workers under eight clients that never retry: no error, and the worker is back and used.
    """
    clip = clips["phone-number-george.wav"]
    victim = fleet.services("worker")[0]
    stop = threading.Event()

    def ask(_):
        """Ask until told to stop; which worker answered when."""
        answered = []
        with OpenAI(base_url=fleet.url, api_key="any", max_retries=0, timeout=60) as client:
            while not stop.is_set():
                with clip["path"].open("rb") as file:
                    raw = client.audio.transcriptions.with_raw_response.create(model="whisper-1", file=file)
                assert raw.parse().text == clip["text"]
                answered.append((time.monotonic(), raw.headers["X-Fleet-Worker"]))
        return answered

    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(ask, number) for number in range(CLIENTS)]
        try:
            fleet.wait_for(lambda: fleet.get("/lb-status")["fleet"]["busy"] == 2, 20, "busy fleet")
            victim.send_signal(signal.SIGKILL)
            fleet.wait_for(lambda: fleet.get("/lb-status")["fleet"]["ready"] < 2, 20, "lost worker")
            fleet.wait_for(lambda: fleet.get("/lb-status")["fleet"]["ready"] == 2, 60, "worker that is back")
            back_at = time.monotonic()
            time.sleep(1.5)  # the load that must reach it
        finally:
            stop.set()
        answered = [entry for client in clients for entry in client.result(60)]

    assert {worker for when, worker in answered if when > back_at} == {"worker-1", "worker-2"}
    assert any("was killed by SIGKILL" in line for line in fleet.out)
    assert victim.pid not in [process.pid for process in fleet.services("worker")]
