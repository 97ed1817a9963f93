"""Every knob of a worker, its unit, and the reason for its default."""

import socket
from dataclasses import dataclass

from fleet.connection import ConnectionLimits
from fleet.language import normalise
from fleet.plan import usable_cores
from fleet.settings import SettingError, setting

SCRIPTED_PREFIX = "fake:"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """One model behind a bounded queue, spoken to over HTTP."""

    host: str = setting("127.0.0.1", "address to listen on; containers set 0.0.0.0")
    port: int = setting(8000, "port to listen on", least=0, most=65535)
    worker_id: str = setting("", "name in health, logs and headers; empty: host:port")
    worker_token: str | None = setting(None, "secret that routers must send; unset: whoever reaches it is served")
    keepalive_s: float = setting(75, "close an idle connection after this; routers keep theirs 60", unit="s", least=1)
    header_timeout_s: float = setting(15, "from a request's first byte to the end of its head", unit="s", least=0.1)
    body_timeout_s: float = setting(
        600, "a body that takes longer, or sends under 1 kB/s, is refused", unit="s", least=1
    )
    max_connections: int = setting(4096, "open connections, all together; one more is refused", least=1)
    max_connections_per_address: int = setting(1024, "open connections of one address; a proxy is one", least=1)
    log_level: str = setting("info", "least level that is logged", choices=("debug", "info", "warning", "error"))
    log_format: str = setting("auto", "auto is text on a terminal, else json", choices=("auto", "text", "json"))

    model: str = setting(
        "spoken-digits",
        "embedded name, faster-whisper size, Hub id, directory, or fake:SECONDS (scripted, for tests)",
        also=("MODEL_SIZE",),
    )
    model_dir: str | None = setting(None, "where pulled models are kept; unset: the Hub's own cache")
    offline: bool = setting(False, "never fetch a model", also=("HF_HUB_OFFLINE",))
    device: str = setting("auto", "where the model runs", choices=("auto", "cpu", "cuda"))
    compute_type: str | None = setting(None, "CTranslate2's number type; unset: int8 on CPU, int8_float16 on CUDA")
    cpu_threads: int | None = setting(None, "threads inside one model call; unset: every core", least=1, most=256)

    max_concurrent_transcriptions: int | None = setting(
        None,
        "requests at once; unset: 1 on CPU, where a second one would only share the cores, 16 on CUDA",
        least=1,
        most=1024,
        also=("MAX_ACTIVE_REQUESTS",),
    )
    max_queue_size: int = setting(10, "requests that may wait; one more is refused at once", least=0, most=100_000)
    fail_fast_when_busy: bool = setting(False, "refuse at once whenever every slot is busy, without waiting")
    busy_retry_after_s: float | None = setting(
        None, "fixed Retry-After; unset: computed from the queue", unit="s", least=0
    )
    realtime_reserved_slots: int = setting(0, "slots that deferred requests may not take", least=0)
    batch_size: int | None = setting(None, "windows in one model call; unset: 4 on CPU, 16 on CUDA", least=1, most=256)

    beam_size: int | None = setting(None, "beams of the search; unset: the model's card, else 5", least=1, most=20)
    language: str | None = setting(
        None, "language where a request names none, as a code or in English; unset: detect it"
    )
    temperature_fallback: bool | None = setting(
        None, "try again at higher temperatures where a result looks wrong; unset: the card, else true"
    )
    condition_on_previous_text: bool = setting(
        False, "decode one window after the other, each prompted with the text before it; slower, no batching"
    )
    compression_ratio_threshold: float = setting(2.4, "text that compresses better than this is a loop", least=0)
    log_prob_threshold: float | None = setting(
        None, "a mean token log-probability below this is a failure; unset: the card, else -1"
    )
    no_speech_threshold: float | None = setting(
        None, "no-speech probability above which a failed window is silence; unset: the card, else 0.6", least=0
    )
    repetition_penalty: float = setting(1.0, "above 1 makes tokens that were used less likely", least=0.1, most=10)
    no_repeat_ngram_size: int = setting(0, "no n-gram of this size twice in a window; 0: off", least=0, most=64)
    without_timestamps: bool | None = setting(
        None, "take a segment's times from voice activity, not from the model; unset: the card, else false"
    )

    vad_filter: bool = setting(True, "skip what is not speech; false decodes one window after the other")
    vad_threshold: float | None = setting(None, "speech probability; unset: the card, else 0.5", least=0, most=1)
    min_speech_duration_ms: int | None = setting(
        None, "drop shorter speech; unset: the card, else 250", unit="ms", least=0, most=5_000
    )
    max_speech_duration_s: float | None = setting(
        None, "cut longer speech; unset: the card, else 30", unit="s", least=0.5, most=30
    )
    min_silence_duration_ms: int | None = setting(
        None, "silence that ends speech; unset: the card, else 500", unit="ms", least=0
    )
    speech_pad_ms: int | None = setting(
        None, "audio kept on each side of speech; unset: the card, else 400", unit="ms", least=0, most=5_000
    )
    audio_context: str | None = setting(
        None, "auto encodes no more than a window fills; unset: the card, else full", choices=("auto", "full")
    )

    max_upload_mb: float = setting(500, "largest request body", unit="MB", least=0.001)
    min_audio_s: float = setting(0.0, "refuse shorter clips", unit="s", least=0)
    max_audio_s: float = setting(14_400, "refuse longer clips", unit="s", least=1)
    decode_threads: int = setting(2, "clips decoded at once", least=1, most=64)
    request_timeout_s: float = setting(600, "deadline of a request that names none", unit="s", least=1)
    drain_timeout_s: float = setting(600, "how long a stopping worker finishes what it has", unit="s", least=0)
    max_rss_mb: float = setting(
        0,
        "a worker that stays above this finishes what it has and ends with 0, to be restarted; with 3, for good, if "
        "it had no request yet: the model needs more; 0: off",
        unit="MB",
        least=0,
    )
    strict_fields: bool = setting(False, "refuse form fields that are not known")

    @property
    def name(self) -> str:
        """What this worker is called."""
        return self.worker_id or f"{socket.gethostname()}:{self.port}"

    def check(self) -> None:
        """Raise SettingError for a model or a language that cannot be meant."""
        _ = self.scripted_s, self.default_language

    @property
    def default_language(self) -> str | None:
        """Whisper's code for LANGUAGE; None: detect it. Raises SettingError."""
        try:
            return normalise(self.language or "")
        except ValueError as error:
            raise SettingError("LANGUAGE must be a language that Whisper knows, such as en or english.") from error

    @property
    def secrets(self) -> tuple[str | None, ...]:
        """What no log line may hold."""
        return (self.worker_token,)

    @property
    def scripted_s(self) -> tuple[float, float] | None:
        """
        Seconds a clip, and per second of audio beside, for `fake:SECONDS` and `fake:SECONDS+PER_AUDIO_SECOND`.

        None for a real model. Raises SettingError for a bad number.
        """
        if not self.model.startswith(SCRIPTED_PREFIX):
            return None
        fixed, _, per_audio_s = self.model.removeprefix(SCRIPTED_PREFIX).partition("+")
        try:
            numbers = float(fixed), float(per_audio_s or 0)
        except ValueError as error:
            raise SettingError("MODEL must be fake:SECONDS, such as fake:0.2, or fake:0.02+0.01.") from error
        if not all(0 <= number <= 3600 for number in numbers):
            raise SettingError("MODEL fake:SECONDS takes 0 to 3600 seconds.")
        return numbers

    @property
    def threads(self) -> int:
        """Threads inside one model call."""
        return self.cpu_threads or len(usable_cores())

    def slots(self, device: str) -> int:
        """Requests at once on this device."""
        return self.max_concurrent_transcriptions or (16 if device == "cuda" else 1)

    def windows_per_call(self, device: str) -> int:
        """Windows in one model call on this device."""
        return self.batch_size or (16 if device == "cuda" else 4)

    @property
    def connection_limits(self) -> ConnectionLimits:
        """How many connections, and how long a request's head may take."""
        return ConnectionLimits(
            total=self.max_connections,
            each_address=self.max_connections_per_address,
            head_s=self.header_timeout_s,
        )
