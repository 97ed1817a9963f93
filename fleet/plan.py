"""What `up` starts: its settings -> the command, environment and cores of every child. Decides, starts nothing."""

import os
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fleet.child import ChildSpec
from fleet.ports import Ports
from fleet.settings import setting

# each means something else to `up` than to the child that would read it, or is set for each child below
OWN_NAMES = frozenset(["WORKERS", "MODEL", "MODEL_SIZE", "HOST", "PORT", "WORKER_ID", "WYOMING", "WYOMING_PORT"])
# options of the children that are none of `up`: what it sets itself for each of them
NOT_PASSED_ON = OWN_NAMES | {"CPU_THREADS"}
# numpy and onnxruntime start threads of their own that fight the model's for the cores
ONE_THREAD_EACH = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

CAN_PIN = hasattr(os, "sched_setaffinity")  # Linux


@dataclass(frozen=True, slots=True, kw_only=True)
class UpSettings:
    """
    Start a router and N workers on this machine, and keep them running until Ctrl-C.

    What `whisper-fleet router --help` and `whisper-fleet worker --help` list may be given here too, and is passed on.
    """

    workers: int = setting(2, "worker processes, each with a model of its own", unit="processes", least=1, most=256)
    model: str = setting(
        "spoken-digits",
        "spoken-digits (embedded, digits only), a size such as base, a Hub id, a directory, or fake:SECONDS",
        also=("MODEL_SIZE",),
    )
    host: str = setting("127.0.0.1", "address that the router listens on; workers stay on loopback")
    port: int = setting(
        8083,
        "port that the router listens on; 0: any free one, and jobs are kept until the end only",
        least=0,
        most=65535,
    )
    device: str = setting("auto", "where the models run", choices=("auto", "cpu", "cuda"))
    compute_type: str | None = setting(None, "number type; unset: int8 on CPU, int8_float16 on CUDA")
    threads_per_worker: int | None = setting(
        None, "threads inside one model call; unset: the cores shared out", unit="threads", least=1, most=256
    )
    wyoming: int | None = setting(
        None,
        "port for Wyoming clients such as Home Assistant; 0: off; unset: 10300 if it is free",
        least=0,
        most=65535,
        also=("WYOMING_PORT",),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetPlan:
    """The children, the router's address for callers on this machine, and what the banner says of the workers."""

    router: ChildSpec
    workers: tuple[ChildSpec, ...]
    url: str
    model: str
    threads: int
    api_key: str | None  # that `up` itself sends
    callers_key: str  # what callers are to send, in words
    forgets_jobs: bool

    @property
    def hears_digits_only(self) -> bool:
        """Whether the embedded model is the one in use."""
        return self.model == "spoken-digits"


def plan(
    wanted: UpSettings,
    ports: Ports,
    environ: Mapping[str, str],
    cores: tuple[int, ...] | None = None,
    *,
    folder: Path | None = None,
) -> FleetPlan:
    """The children of this fleet on these cores (default: those this process may use); `folder` goes when it ends."""
    cores = usable_cores() if cores is None else cores
    threads = wanted.threads_per_worker or max(1, len(cores) // wanted.workers)
    inherited = {name: value for name, value in environ.items() if name not in OWN_NAMES}
    inherited.setdefault("LOG_FORMAT", "text" if sys.stderr.isatty() else "json")
    workers = tuple(
        ChildSpec(
            name=f"worker-{index + 1}",
            command=_python("worker", "--model", wanted.model, "--port", str(port)),
            ready_url=f"http://127.0.0.1:{port}/readyz",
            environ=ONE_THREAD_EACH
            | inherited
            | {"HOST": "127.0.0.1", "WORKER_ID": f"worker-{index + 1}", "CPU_THREADS": str(threads)}
            | {"DEVICE": wanted.device, **({"COMPUTE_TYPE": wanted.compute_type} if wanted.compute_type else {})},
            cores=_share(cores, index, threads, wanted),
        )
        for index, port in enumerate(ports.workers)
    )
    urls = ",".join(f"http://127.0.0.1:{port}" for port in ports.workers)
    url = f"http://{_reachable(wanted.host)}:{ports.router}"
    api_key, callers_key = _keys(inherited)
    # by default jobs stand in a file named by the port, and this one never comes again
    forgets_jobs = folder is not None and wanted.port == 0 and inherited.get("JOBS", "sqlite") == "sqlite"
    router = ChildSpec(
        name="router",
        command=_python("router", "--workers", urls, "--port", str(ports.router)),
        ready_url=f"{url}/readyz",
        environ=inherited
        | {"HOST": wanted.host}
        | ({} if wanted.wyoming is None else {"WYOMING_PORT": str(wanted.wyoming)})
        | ({"API_KEY": api_key} if api_key else {})
        | ({"JOBS": f"sqlite:///{folder}/jobs.sqlite"} if forgets_jobs else {}),
    )
    return FleetPlan(
        router=router,
        workers=workers,
        url=url,
        model=wanted.model,
        threads=threads,
        api_key=api_key,
        callers_key=callers_key,
        forgets_jobs=forgets_jobs,
    )


def _keys(environ: Mapping[str, str]) -> tuple[str | None, str]:
    """The key that `up` sends its sample with, and what callers send. A file of keys has none that `up` could know."""
    if environ.get("API_KEY"):
        return environ["API_KEY"], "key: API_KEY"
    if environ.get("API_KEYS_FILE"):
        return secrets.token_urlsafe(32), "keys: whisper-fleet keys"
    return None, "any key"


def usable_cores() -> tuple[int, ...]:
    """The cores that this process may run on; all of them where the system cannot say."""
    if CAN_PIN:
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def _share(cores: tuple[int, ...], index: int, threads: int, wanted: UpSettings) -> tuple[int, ...]:
    """Cores of one worker's own. None where they do not go round, on a GPU, and where the system cannot pin."""
    if not CAN_PIN or wanted.device == "cuda" or wanted.workers * threads > len(cores):
        return ()
    return cores[index * threads : (index + 1) * threads]


def _python(module: str, *options: str) -> tuple[str, ...]:
    """This interpreter; -P, so that a folder named like the module where the user stands is not taken for it."""
    return (sys.executable, "-P", "-m", module, *options)


def _reachable(host: str) -> str:
    """The name under which this machine itself reaches a listener on `host`."""
    if host in ("0.0.0.0", "::"):
        return "127.0.0.1" if host == "0.0.0.0" else "[::1]"
    return f"[{host}]" if ":" in host else host
