"""Health answers while everything computes."""

import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from openai import OpenAI

pytestmark = pytest.mark.real

ROUNDS, CALLS = 4, 150
LIMIT_S = 0.050


def timed(url):
    """Seconds of one call."""
    began = time.perf_counter()
    with urllib.request.urlopen(url, timeout=10) as response:
        response.read()
        assert response.status == 200
    return time.perf_counter() - began


def p99(times):
    """The 99th percentile."""
    return sorted(times)[int(len(times) * 0.99)]


def test_health_while_every_slot_is_busy(fleet, clips):
    """
    /health of router and workers and /lb-status answer within 50 ms at p99 while both workers transcribe.

    The machine's other work only ever adds: the best of four rounds counts.
    """
    long_clip = clips["half-minute.wav"]["path"].read_bytes()
    stop = threading.Event()

    def ask(_):
        with OpenAI(base_url=fleet.url, api_key="any", max_retries=0, timeout=60) as client:
            while not stop.is_set():
                client.audio.transcriptions.create(model="whisper-1", file=("a.wav", long_clip))

    workers = [f"{worker['url']}/health" for worker in fleet.get("/lb-status")["workers"]]
    urls = [f"{fleet.url}/health", f"{fleet.url}/lb-status", *workers]
    with ThreadPoolExecutor(4) as pool:
        clients = [pool.submit(ask, number) for number in range(4)]
        try:
            fleet.wait_for(lambda: fleet.get("/lb-status")["fleet"]["busy"] == 2, 20, "busy fleet")
            best = dict.fromkeys(urls, 10.0)
            for _ in range(ROUNDS):
                for url in urls:
                    best[url] = min(best[url], p99([timed(url) for _ in range(CALLS)]))
                if max(best.values()) < LIMIT_S:
                    break
        finally:
            stop.set()
        for client in clients:
            client.result(60)

    assert max(best.values()) < LIMIT_S, best
