from dataclasses import fields, replace

from worker.card import ModelCard
from worker.recipe import EDGE_BYTES, SHAPING, recipe_of, weights_of
from worker.settings import WorkerSettings
from worker.window import EngineFacts

FACTS = EngineFacts(
    model="m",
    device="cpu",
    compute_type="int8",
    languages=("en",),
    can_translate=False,
    is_scripted=False,
    card=ModelCard(),
    weights="w",
)

# fmt: off
HARMLESS = {  # where, how fast, how much at once, what is refused: none of it changes a word
    "host", "port", "worker_id", "worker_token", "keepalive_s", "header_timeout_s", "body_timeout_s", "max_connections",
    "max_connections_per_address", "log_level", "log_format", "model_dir", "offline", "cpu_threads",
    "max_concurrent_transcriptions", "max_queue_size", "fail_fast_when_busy", "busy_retry_after_s",
    "realtime_reserved_slots", "batch_size", "max_upload_mb", "min_audio_s", "max_audio_s", "decode_threads",
    "request_timeout_s", "drain_timeout_s", "max_rss_mb", "strict_fields",
}
ELSEWHERE = {"model", "device", "compute_type"}  # in the report itself
# fmt: on


def test_every_setting_is_judged():
    """A new one is either part of the recipe or listed here as harmless."""
    names = {field.name for field in fields(WorkerSettings)}
    assert names - set(SHAPING) - ELSEWHERE - HARMLESS == set()
    assert set(SHAPING) <= names


def test_settings_card_and_weights_change_it_and_nothing_else():
    """The same twice, another with another beam, card or file, the same on another port."""
    plain = recipe_of(WorkerSettings(), FACTS)
    assert plain == recipe_of(WorkerSettings(port=9, max_queue_size=3), FACTS)
    others = [
        recipe_of(WorkerSettings(beam_size=1), FACTS),
        recipe_of(WorkerSettings(), replace(FACTS, card=ModelCard(beam_size=1))),
        recipe_of(WorkerSettings(), replace(FACTS, weights="v")),
    ]
    assert len({plain, *others}) == 4


def test_weights_are_named_by_their_bytes(tmp_path):
    """A byte at either end or one more makes them others; where they lie does not."""
    names = []
    for number, content in enumerate([b"abc", b"abc", b"abd", bytes(3 * EDGE_BYTES), bytes(3 * EDGE_BYTES) + b"x"]):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "model.bin").write_bytes(content)
        names.append(weights_of(folder))
    assert names[0] == names[1]
    assert len(set(names)) == 4
