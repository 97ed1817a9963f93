"""nginx in the router's place, in front of the same workers, with the configuration of `nginx/`."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from fleet.child import ChildSpec
from fleet.serve import StartupError

CONFIG = Path(__file__).parent.parent / "nginx"

UPSTREAM = "upstream workers {{\n    zone workers 128k;\n    least_conn;\n{servers}    keepalive 32;\n}}\n"


def lay_out(folder: Path, *, port: int, workers: Sequence[int]) -> None:
    """A folder that nginx can run from without privileges: the configuration, its list of workers, its port."""
    folder.chmod(0o755)  # started by root, nginx's own processes are nobody's
    (folder / "temp").mkdir()
    shutil.copy(CONFIG / "nginx.conf", folder / "nginx.conf")
    servers = "".join(f"    server 127.0.0.1:{worker} max_fails=0;\n" for worker in workers)
    (folder / "upstream.conf").write_text(UPSTREAM.format(servers=servers))
    (folder / "listen.conf").write_text(f"listen 127.0.0.1:{port};\n")


def spec(folder: Path, *, port: int) -> ChildSpec:
    """How to start nginx from that folder, in the foreground; raises StartupError where it is not installed."""
    program = find()
    if program is None:
        raise StartupError("nginx is not installed; on Debian: apt-get install nginx-light")
    if not (CONFIG / "nginx.conf").is_file():
        raise StartupError(f"{CONFIG} has no nginx.conf: run from a checkout of the repository")
    return ChildSpec(
        name="nginx",
        command=(program, "-p", str(folder), "-c", "nginx.conf", "-e", "stderr", "-g", "daemon off;"),
        ready_url=f"http://127.0.0.1:{port}/readyz",
        environ=dict(os.environ),
    )


def find() -> str | None:
    """The program; Debian keeps it where only root's PATH looks."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
