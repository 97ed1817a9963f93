"""Other people's Wyoming clients, unmodified, before a real fleet with the embedded model."""

import asyncio
import io
import subprocess
import sys
import wave
from contextlib import suppress

import numpy as np
import pytest
import soxr
from wyoming.asr import Transcribe, Transcript, TranscriptChunk
from wyoming.audio import AudioChunk, AudioStart, AudioStop, wav_to_chunks
from wyoming.client import AsyncTcpClient
from wyoming.info import Describe, Info

from tests.integration.processes import free_port

pytestmark = pytest.mark.real

DESCRIBE_WITHIN_S, TRIES = 1, 3  # Home Assistant's


async def transcribed(port, wav, samples_per_chunk=1024, **wish):
    """The transcript of a WAV file, and the pieces that came before it."""
    pieces = []
    async with AsyncTcpClient("127.0.0.1", port) as client, asyncio.timeout(60):
        await client.write_event(Transcribe(**wish).event())
        with wave.open(io.BytesIO(wav)) as file:
            for part in wav_to_chunks(file, samples_per_chunk, start_event=True, stop_event=True):
                await client.write_event(part.event())
        while (event := await client.read_event()) is not None:
            if Transcript.is_type(event.type):
                return Transcript.from_event(event).text, pieces
            if TranscriptChunk.is_type(event.type):
                pieces.append(TranscriptChunk.from_event(event).text)
    raise AssertionError("closed without a transcript")


def recast(wav, *, rate_hz, width_bytes, channels):
    """The same sound with its samples laid out differently."""
    with wave.open(io.BytesIO(wav)) as file:
        sound = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
        sound = soxr.resample(sound, file.getframerate(), rate_hz)
    wide = np.round(np.clip(sound, -1, 1) * (2**31 - 1)).astype("<i4")
    frames = np.repeat(wide, channels).view(np.uint8).reshape(-1, 4)[:, 4 - width_bytes :]
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setparams((channels, width_bytes, rate_hz, 0, "NONE", ""))
        file.writeframes((frames ^ 0x80 if width_bytes == 1 else frames).tobytes())  # one byte has no sign in WAV
    return out.getvalue()


async def test_every_sample_is_heard(fleet, clips):
    """
    The words that were said, several at once, and in pieces that join to the whole.
    """
    answers = await asyncio.gather(
        *(transcribed(fleet.wyoming_port, clip["path"].read_bytes(), language="en") for clip in clips.values())
    )
    for (text, pieces), clip in zip(answers, clips.values(), strict=True):
        assert text == clip["text"]
        assert "".join(pieces).strip() == text


@pytest.mark.parametrize(
    "layout", [(8_000, 2, 1), (16_000, 1, 1), (44_100, 3, 2), (48_000, 4, 1), (22_050, 2, 6), (16_000, 2, 2)]
)
async def test_any_layout_of_samples(fleet, clips, layout):
    """
    Rates, widths and channels that microphones have; the words stay the same.
    """
    clip = clips["phone-number-george.wav"]
    rate_hz, width_bytes, channels = layout
    wav = recast(clip["path"].read_bytes(), rate_hz=rate_hz, width_bytes=width_bytes, channels=channels)
    assert (await transcribed(fleet.wyoming_port, wav, samples_per_chunk=777))[0] == clip["text"]


async def described(port):
    """What the door says of itself; asked again if it takes too long, as Home Assistant does."""
    for _ in range(TRIES):
        with suppress(TimeoutError):
            async with AsyncTcpClient("127.0.0.1", port) as client, asyncio.timeout(DESCRIBE_WITHIN_S):
                await client.write_event(Describe().event())
                while not Info.is_type((event := await client.read_event()).type):
                    pass
                return Info.from_event(event)
    raise AssertionError(f"not described in {TRIES} tries")


async def test_as_home_assistant_calls(fleet, sample):
    """
    Its sequence: describe on a connection of its own, answered within a second; then a connection for each utterance
    with a language tag, speech in raw pieces that ignore sample borders, and only transcript or end awaited.
    """
    info = await described(fleet.wyoming_port)
    languages = {code for model in info.asr[0].models if model.installed for code in model.languages}
    assert languages == {"en"}

    wav, text = sample
    form = {"rate": 16_000, "width": 2, "channels": 1}
    with wave.open(io.BytesIO(recast(wav, rate_hz=16_000, width_bytes=2, channels=1))) as file:
        speech = file.readframes(file.getnframes())
    for tag in ("en-US", "en"):
        async with AsyncTcpClient("127.0.0.1", fleet.wyoming_port) as client:
            await client.write_event(Transcribe(language=tag).event())
            await client.write_event(AudioStart(**form).event())
            for at in range(0, len(speech), 1999):
                await client.write_event(AudioChunk(audio=speech[at : at + 1999], **form).event())
            await client.write_event(AudioStop().event())
            async with asyncio.timeout(60):
                while (event := await client.read_event()) is not None and not Transcript.is_type(event.type):
                    pass
            assert Transcript.from_event(event).text == text


def health_check(port):
    """The check that wyoming-faster-whisper's image runs, as it runs it."""
    command = [sys.executable, "-m", "wyoming_faster_whisper.health_check", "--uri", f"tcp://127.0.0.1:{port}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_the_health_check_of_wyoming_faster_whisper(fleet):
    """
    Its own module, unmodified: content with us, discontent with a port where nobody is.
    """
    checked = health_check(fleet.wyoming_port)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert health_check(free_port()).returncode == 1


def test_the_banner_says_where(fleet):
    """
    The address to type into Home Assistant.
    """
    assert f"tcp://127.0.0.1:{fleet.wyoming_port}" in "".join(fleet.out)
    assert fleet.get("/health")["wyoming_port"] == fleet.wyoming_port


def test_a_port_that_was_asked_for_and_is_taken_ends_the_start(fleet, start_fleet):
    """
    One sentence that names setting and port, exit code 3.
    """
    other = start_fleet("--workers", "1", "--model", "fake:0.01", "--wyoming", str(fleet.wyoming_port))
    assert other.wait() == 3
    assert f":{fleet.wyoming_port}: Address already in use (WYOMING_PORT, HOST)" in "".join(other.err)
