"""What `up` would start, for machines and settings of all kinds."""

import sys
from pathlib import Path

import pytest

from fleet import settings
from fleet.plan import CAN_PIN, UpSettings, plan
from fleet.ports import Ports


def planned(environ=None, *options, cores=(0, 1, 2, 3)):
    """The plan for this environment and these options."""
    wanted = settings.load(UpSettings, environ or {}, options)
    ports = Ports(wanted.port, tuple(range(9001, 9001 + wanted.workers)))
    return plan(wanted, ports, environ or {}, cores)


def test_children_get_their_own_meaning_of_a_name():
    """WORKERS is a number for `up` and URLs for the router; neither child sees a name that was meant for `up`."""
    fleet = planned({"WORKERS": "2", "MODEL": "base", "PORT": "9000", "HOST": "0.0.0.0", "MAX_QUEUE_SIZE": "5"})

    assert [spec.name for spec in fleet.workers] == ["worker-1", "worker-2"]
    assert fleet.workers[1].command[-5:] == ("worker", "--model", "base", "--port", "9002")
    assert fleet.router.command[-4:] == ("--workers", "http://127.0.0.1:9001,http://127.0.0.1:9002", "--port", "9000")
    assert fleet.router.environ["HOST"] == "0.0.0.0"
    for spec in (fleet.router, *fleet.workers):
        assert not {"WORKERS", "MODEL", "PORT"} & set(spec.environ)
        assert spec.environ["MAX_QUEUE_SIZE"] == "5"
    assert fleet.workers[0].environ["HOST"] == "127.0.0.1"


@pytest.mark.skipif(not CAN_PIN, reason="this system cannot pin a process to cores")
@pytest.mark.parametrize(
    ("options", "threads", "cores"),
    [
        (["--workers", "2"], 2, [(0, 1), (2, 3)]),
        (["--workers", "4"], 1, [(0,), (1,), (2,), (3,)]),
        (["--workers", "3"], 1, [(0,), (1,), (2,)]),
        (["--workers", "6"], 1, [()] * 6),
        (["--workers", "2", "--threads-per-worker", "4"], 4, [(), ()]),
        (["--workers", "2", "--device", "cuda"], 2, [(), ()]),
    ],
)
def test_cores_are_shared_out(options, threads, cores):
    """Each worker gets cores of its own while they go round; nobody is pinned where they do not, or on a GPU."""
    fleet = planned({}, *options)

    assert [spec.cores for spec in fleet.workers] == cores
    assert {spec.environ["CPU_THREADS"] for spec in fleet.workers} == {str(threads)}
    assert fleet.router.cores == ()


def test_other_thread_pools_are_kept_small():
    """One thread for each numeric library, unless the operator says otherwise."""
    assert planned().workers[0].environ["OMP_NUM_THREADS"] == "1"
    assert planned({"OMP_NUM_THREADS": "4"}).workers[0].environ["OMP_NUM_THREADS"] == "4"


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8083"),
        ("0.0.0.0", "http://127.0.0.1:8083"),
        ("::", "http://[::1]:8083"),
        ("::1", "http://[::1]:8083"),
    ],
)
def test_address_for_callers_on_this_machine(host, url):
    """A wildcard is no address to open."""
    assert planned({"HOST": host}).url == url


def test_children_do_not_depend_on_where_the_user_stands():
    """The same interpreter, and no module from the current folder."""
    assert planned().router.command[:2] == (sys.executable, "-P")


def test_embedded_model_is_known_as_such():
    """Only it needs the note about digits."""
    assert planned().hears_digits_only
    assert not planned({"MODEL": "base"}).hears_digits_only


@pytest.mark.parametrize("options", [["--workers", "0"], ["--port", "70000"], ["--device", "tpu"]])
def test_impossible_wishes(options):
    """Refused before anything starts."""
    with pytest.raises(settings.SettingError):
        planned({}, *options)


def test_with_a_file_of_keys_the_fleet_has_one_of_its_own():
    """`up` knows none of the file, so the router takes a random one too, made at every start; workers see none."""
    first, second = planned({"API_KEYS_FILE": "keys.json"}), planned({"API_KEYS_FILE": "keys.json"})
    assert first.api_key == first.router.environ["API_KEY"] != second.api_key
    assert not any("API_KEY" in worker.environ for worker in first.workers)
    assert planned({"API_KEYS_FILE": "keys.json", "API_KEY": "chosen"}).api_key == "chosen"
    assert planned({}).api_key is None


@pytest.mark.parametrize(
    ("environ", "port", "jobs"),
    [
        ({}, "0", "sqlite:////fleet/jobs.sqlite"),
        ({"JOBS": "sqlite"}, "0", "sqlite:////fleet/jobs.sqlite"),
        ({"JOBS": "sqlite:////var/jobs"}, "0", "sqlite:////var/jobs"),
        ({"JOBS": "off"}, "0", "off"),
        ({}, "8083", None),
    ],
)
def test_jobs_of_a_port_that_never_comes_again_end_with_the_fleet(environ, port, jobs):
    """On any free port they stand in the fleet's own folder, unless the operator names a place; else by the port."""
    wanted = settings.load(UpSettings, environ, ["--port", port])
    fleet = plan(wanted, Ports(9000, (9001, 9002)), environ, (0, 1), folder=Path("/fleet"))

    assert fleet.router.environ.get("JOBS") == jobs
    assert fleet.forgets_jobs == (jobs is not None and "/fleet/" in jobs)
