"""Every knob of the router, with its unit and the reason for its default."""

from dataclasses import dataclass
from ipaddress import ip_address

from fleet.connection import ConnectionLimits
from fleet.settings import SettingError, setting

REDIS_SCHEMES = ("redis://", "rediss://", "unix://")
PLACEHOLDERS = frozenset(["", "admin", "apikey", "api-key", "changeme", "change-me", "password", "secret", "whisper"])


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterSettings:
    """whisper-fleet router: one queue in front of the workers, OpenAI's speech-to-text API in front of the queue."""

    workers: tuple[str, ...] = setting(
        (), "worker URLs, comma-separated, or dns://NAME:PORT for every address of a name"
    )
    host: str = setting("127.0.0.1", "address to listen on")
    port: int = setting(8083, "port to listen on", least=0, most=65535)
    log_level: str = setting("info", "least serious line to log", choices=("debug", "info", "warning", "error"))
    log_format: str = setting("auto", "auto is text on a terminal, JSON elsewhere", choices=("auto", "text", "json"))

    balance: str = setting(
        "least_work",
        "which free worker gets the next request",
        choices=("least_work", "least_connections", "round_robin", "power_of_two"),
    )
    max_wait_s: float = setting(120, "refuse what would wait longer than this for a slot", unit="s", least=0)
    max_queue: int = setting(512, "requests that may wait; each holds its body in the spool", unit="requests", least=0)
    order_alpha_s: float = setting(10, "head start that half the work is worth in the queue", unit="s", least=0)
    realtime_reserved_slots: int = setting(
        0, "slots of the fleet that deferred requests leave free", unit="slots", least=0
    )
    realtime_sessions: int = setting(
        64, "live sessions at once, some 10 MB each at most; 0: none", unit="sessions", least=0
    )
    realtime_idle_s: float = setting(300, "a live session that sends nothing for so long is closed", unit="s", least=1)
    default_deadline_s: float = setting(600, "deadline of a caller who states none", unit="s", least=1)

    max_upload_mb: float = setting(500, "largest request body", unit="MB", least=0.001)
    max_batch_files: int = setting(100, "clips in one request to /v1/audio/transcriptions_batch", unit="files", least=1)
    spool_memory_mb: float = setting(64, "bodies held in memory, all together; the rest on disk", unit="MB", least=0)
    spool_disk_mb: float = setting(8192, "bodies held on disk, all together; more is refused", unit="MB", least=0)
    spool_dir: str | None = setting(
        None, "folder of the spool's (unlinked) files; unset: the system's temporary folder"
    )

    cache: str = setting("off", "where answers are kept to be given again: off, memory, disk or redis://HOST:PORT/DB")
    cache_ttl_s: float = setting(3600, "how long; a transcript is a private thing", unit="s", least=0.001)
    cache_max_mb: float = setting(
        256, "answers kept, all together; the least used go (Redis: its own maxmemory)", unit="MB", least=0.1
    )
    cache_shared: bool = setting(False, "callers with different keys get each other's answers")
    cache_dir: str | None = setting(None, "folder of CACHE=disk; unset: whisper-fleet/answers in the user's cache")
    cache_timeout_s: float = setting(0.25, "a request waits no longer for the cache", unit="s", least=0.001)

    retry_limit: int = setting(2, "tries after the first, on other workers", unit="tries", least=0, most=10)
    retry_share: float = setting(
        0.2, "retries at once, as a share of requests in flight", unit="ratio", least=0, most=1
    )
    retry_least: int = setting(
        3,
        "retries at once that are always allowed, beside all that a worker ran when it died",
        unit="requests",
        least=0,
    )
    eject_failures: int = setting(3, "failures in a row that take a worker out", unit="failures", least=1)
    eject_base_s: float = setting(5, "first time out; doubles each time", unit="s", least=0.01)
    eject_max_s: float = setting(60, "longest time out", unit="s", least=0.01)

    probe_interval_s: float = setting(1, "how often each worker is asked for its load", unit="s", least=0.05)
    probe_timeout_s: float = setting(2, "how long it may take to answer", unit="s", least=0.05)
    probe_misses: int = setting(3, "unanswered probes in a row that take a worker out", unit="probes", least=1)
    discovery_interval_s: float = setting(2, "how often a dns:// name is looked up", unit="s", least=0.1)
    connect_timeout_s: float = setting(2, "connecting to a worker", unit="s", least=0.05)

    jobs: str = setting(
        "sqlite",
        "where jobs are kept: sqlite (the user's state folder), sqlite:///PATH, postgresql://USER@HOST/DATABASE, off",
    )
    jobs_max: int = setting(10_000, "jobs in the store, ended ones included; one more is refused", unit="jobs", least=1)
    jobs_max_mb: float = setting(8192, "audio and results in the store", unit="MB", least=0.001)
    jobs_key_share: float = setting(
        0.5,
        "how much of both one key of API_KEYS_FILE may fill, so that others find room",
        unit="ratio",
        least=0.001,
        most=1,
    )
    jobs_at_once: int = setting(
        16, "jobs that this router runs at once; slots are left for live requests", unit="jobs", least=1, most=256
    )
    job_ttl_s: float = setting(86_400, "how long an ended job and its result are kept", unit="s", least=1)
    job_lease_s: float = setting(30, "how soon a job is taken over whose router vanished", unit="s", least=1)
    webhook_allow: tuple[str, ...] = setting(
        (), "hosts that callback_url may name: HOST, HOST:PORT, http://HOST; networks that they may be in"
    )
    webhook_secret: str | None = setting(None, "signs webhooks; whsec_BASE64, or any text")

    api_key: str | None = setting(None, "the key that callers must send; unset: open on loopback")
    api_keys_file: str | None = setting(None, "file of keys with limits of their own: whisper-fleet keys")
    api_keys_pepper_file: str | None = setting(
        None, "secret that the file's keys are checked with; unset: API_KEYS_FILE with .pepper at the end"
    )
    admin_key: str | None = setting(None, "the key for /admin; unset: /admin is closed")
    audit_log: str | None = setting(
        None, "file for a JSON line about each request: whose key, when, how much audio, how it ended; - is stdout"
    )
    worker_token: str | None = setting(None, "secret that the workers ask for, the same on both sides")
    allow_open: bool = setting(False, "serve without keys on an address that others can reach")
    wyoming_port: int | None = setting(
        None, "port for Wyoming clients such as Home Assistant; 0: off; unset: 10300 if it is free", least=0, most=65535
    )
    wyoming_key: str | None = setting(
        None, "name of the key in API_KEYS_FILE that Wyoming clients, which can send none, count under"
    )
    wyoming_sessions: int = setting(64, "open connections of Wyoming clients; one more is refused", least=1)
    wyoming_zeroconf: str | None = setting(None, "name to announce Wyoming under on the local network; unset: none")
    strict_fields: bool = setting(False, "refuse unknown fields and combinations that OpenAI refuses")
    cors_origins: tuple[str, ...] = setting((), "origins whose pages may call, comma-separated; * is any")
    drain_timeout_s: float = setting(600, "after SIGTERM, how long requests in flight may take", unit="s", least=0)
    drain_notice_s: float = setting(
        0, "after SIGTERM, how long to keep taking requests while /readyz says no", unit="s", least=0
    )
    keepalive_s: float = setting(75, "idle connections of callers are closed after this", unit="s", least=1)
    header_timeout_s: float = setting(15, "from a request's first byte to the end of its head", unit="s", least=0.1)
    body_timeout_s: float = setting(
        600, "a body that takes longer, or sends under 1 kB/s, is refused", unit="s", least=1
    )
    max_connections: int = setting(4096, "open connections, all together; one more is refused", least=1)
    max_connections_per_address: int = setting(1024, "open connections of one address; a proxy is one", least=1)

    def check(self) -> None:
        """Raise SettingError for settings that cannot be meant together."""
        is_public = not is_loopback(self.host)
        if is_public and not self.has_keys and not self.allow_open:
            raise SettingError(
                f"HOST={self.host} can be reached by others and no key is set: "
                "set API_KEY or API_KEYS_FILE, or ALLOW_OPEN=true to serve without keys."
            )
        for name, key in (("API_KEY", self.api_key), ("ADMIN_KEY", self.admin_key)):
            if is_public and key is not None and key.lower() in PLACEHOLDERS:
                raise SettingError(f"HOST={self.host} can be reached by others and {name} is what everybody guesses.")
        if self.wyoming_port and self.wyoming_needs_key:
            raise SettingError(
                f"WYOMING_PORT={self.wyoming_port}: callers need a key, and Wyoming has none to send. "
                "WYOMING_KEY=NAME counts them under a key of API_KEYS_FILE, ALLOW_OPEN=true lets them in without."
            )
        if self.wyoming_key is not None and self.api_keys_file is None:
            raise SettingError(f"WYOMING_KEY={self.wyoming_key} names a key of API_KEYS_FILE, which is not set.")
        if self.cache not in ("off", "memory", "disk") and not self.cache.startswith(REDIS_SCHEMES):
            raise SettingError("CACHE must be off, memory, disk or redis://HOST:PORT/DB.")  # it may hold a password
        if self.webhook_allow and not self.webhook_secret:
            raise SettingError(
                "WEBHOOK_ALLOW is set and WEBHOOK_SECRET is not: nobody could tell a webhook from a fake."
            )
        if not self.workers:
            raise SettingError("WORKERS is empty: give worker URLs, comma-separated, or dns://NAME:PORT.")

    @property
    def secrets(self) -> tuple[str | None, ...]:
        """What no log line may hold."""
        return self.api_key, self.admin_key, self.worker_token, self.webhook_secret

    @property
    def has_keys(self) -> bool:
        """Whether callers must send a key."""
        return self.api_key is not None or self.api_keys_file is not None

    @property
    def wyoming_needs_key(self) -> bool:
        """Whether callers need a key and nothing says how Wyoming's do without."""
        return self.has_keys and self.wyoming_key is None and not self.allow_open

    @property
    def max_upload_bytes(self) -> int:
        """MAX_UPLOAD_MB in bytes."""
        return round(self.max_upload_mb * 1_000_000)

    @property
    def connection_limits(self) -> ConnectionLimits:
        """How many connections, and how long a request's head may take."""
        return ConnectionLimits(
            total=self.max_connections,
            each_address=self.max_connections_per_address,
            head_s=self.header_timeout_s,
        )


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine can reach it; of any name but `localhost` nobody knows."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
