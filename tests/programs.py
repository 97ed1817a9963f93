"""Programs beside Python that some tests start: `.ci/run` installs them, a skip names the package they come in."""

import os
import shutil

import pytest

PLACES = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])  # where Debian has nginx


def missing(program: str, package: str) -> str:
    """Why a test cannot run here."""
    return f"{program} is not installed (Debian: apt-get install {package}); what it is for is NOT tested here"


def needs(program: str, package: str) -> pytest.MarkDecorator:
    """Skips a test where there is no such program."""
    return pytest.mark.skipif(shutil.which(program, path=PLACES) is None, reason=missing(program, package))


needs_nginx = needs("nginx", "nginx-light")
needs_redis = needs("redis-server", "redis-server")
needs_make = needs("make", "make")
