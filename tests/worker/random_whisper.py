"""
A Whisper of random weights: says nonsense, but with timestamps, so that the general way through the engine is tested.

The embedded model is English-only and takes its times from voice activity; general models do neither.
"""

from pathlib import Path

import numpy as np
from ctranslate2.specs import whisper_spec
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from worker.engine import WhisperEngine
from worker.settings import WorkerSettings

WIDTH, HEADS, LAYERS = 32, 2, 1
WORDS = 400
TONGUES = ("en", "zh", "de", "fr")  # of the multilingual one: as the models before large-v3, it has no "yue"
SPECIAL = ("endoftext", "startoftranscript", "translate", "transcribe", "startoflm", "startofprev", "nospeech")


def loaded(directory: Path) -> WhisperEngine:
    """The engine with the model of this directory, on one thread."""
    engine = WhisperEngine(WorkerSettings(model=str(directory), cpu_threads=1))
    engine.load()
    return engine


def build(directory: Path, seed: int = 0, *, is_multilingual: bool = False) -> None:
    """Write the model; the same seed is the same model."""
    rng = np.random.default_rng(seed)
    tokenizer = _tokenizer(TONGUES if is_multilingual else ())
    spec = whisper_spec.WhisperSpec(LAYERS, HEADS, LAYERS, HEADS)
    _encoder(spec.encoder, rng)
    _decoder(spec.decoder, rng, tokenizer.get_vocab_size())
    vocabulary = tokenizer.get_vocab()
    pieces = sorted(vocabulary, key=vocabulary.__getitem__)
    if is_multilingual:
        pieces[vocabulary["Ġw0"]] = ""  # by which CTranslate2 tells: only multilingual vocabularies have an empty piece
    spec.register_vocabulary(pieces)
    spec.config.suppress_ids, spec.config.suppress_ids_begin = [], []
    spec.config.lang_ids = [vocabulary[f"<|{tongue}|>"] for tongue in TONGUES] if is_multilingual else []
    spec.config.alignment_heads = [(LAYERS - 1, head) for head in range(HEADS)]
    spec.validate()
    spec.optimize(quantization="int8")
    spec.save(str(directory))
    tokenizer.save(str(directory / "tokenizer.json"))


def _tokenizer(tongues: tuple[str, ...]) -> Tokenizer:
    pieces = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *(f"Ġw{number}" for number in range(WORDS))]
    tokenizer = Tokenizer(models.BPE(vocab={piece: index for index, piece in enumerate(pieces)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    stamps = [f"<|{tick * 0.02:.2f}|>" for tick in range(1501)]
    names = [*(f"<|{name}|>" for name in (*SPECIAL[:2], *tongues, *SPECIAL[2:])), "<|notimestamps|>", *stamps]
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in names])
    return tokenizer


def _encoder(encoder, rng) -> None:
    encoder.conv1.weight, encoder.conv1.bias = _random(rng, WIDTH, 80, 3), np.zeros(WIDTH, np.float32)
    encoder.conv2.weight, encoder.conv2.bias = _random(rng, WIDTH, WIDTH, 3), np.zeros(WIDTH, np.float32)
    encoder.position_encodings.encodings = _random(rng, 1500, WIDTH)
    _norm(encoder.layer_norm)
    for layer in encoder.layer:
        _self_attention(layer.self_attention, rng)
        _feed_forward(layer.ffn, rng)


def _decoder(decoder, rng, tokens: int) -> None:
    decoder.embeddings.weight = _random(rng, tokens, WIDTH)
    decoder.projection.weight = decoder.embeddings.weight
    decoder.position_encodings.encodings = _random(rng, 448, WIDTH)
    _norm(decoder.layer_norm)
    for layer in decoder.layer:
        _self_attention(layer.self_attention, rng)
        _norm(layer.attention.layer_norm)
        for linear, rows in zip(layer.attention.linear, (WIDTH, 2 * WIDTH, WIDTH), strict=True):
            _linear(linear, rng, rows, WIDTH)
        _feed_forward(layer.ffn, rng)


def _self_attention(target, rng) -> None:
    _norm(target.layer_norm)
    _linear(target.linear[0], rng, 3 * WIDTH, WIDTH)
    _linear(target.linear[1], rng, WIDTH, WIDTH)


def _feed_forward(target, rng) -> None:
    _norm(target.layer_norm)
    _linear(target.linear_0, rng, 4 * WIDTH, WIDTH)
    _linear(target.linear_1, rng, WIDTH, 4 * WIDTH)


def _norm(target) -> None:
    target.gamma, target.beta = np.ones(WIDTH, np.float32), np.zeros(WIDTH, np.float32)


def _linear(target, rng, rows: int, columns: int) -> None:
    target.weight, target.bias = _random(rng, rows, columns), np.zeros(rows, np.float32)


def _random(rng, *shape: int):
    return rng.normal(0, 0.3, shape).astype(np.float32)
