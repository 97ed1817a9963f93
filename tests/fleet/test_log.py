"""Log lines as people and as programs read them."""

import json
import logging
import sys

from fleet import log


def record(message="ready", *, exc_info=None, **extra):
    """A record as the logging module makes it."""
    return logging.getLogger("router").makeRecord(
        "router", logging.INFO, "f.py", 1, message, (), exc_info, extra=extra or None
    )


def test_json_line():
    """One object, with what was given beside the message."""
    line = json.loads(log.JsonFormatter().format(record(worker="w1", took_ms=12)))

    assert (line["message"], line["level"], line["worker"], line["took_ms"]) == ("ready", "info", "w1", 12)
    assert line["time"].endswith("+00:00")


def test_text_line():
    """A clock, level, logger, message, and the extras as name=value."""
    line = log.TextFormatter().format(record(worker="w1"))
    assert line[8:] == " info    router: ready  worker=w1"


def test_request_id_rides_along():
    """Within a request every line carries its id."""
    token = log.request_id.set("req-1")
    try:
        assert json.loads(log.JsonFormatter().format(record()))["request_id"] == "req-1"
    finally:
        log.request_id.reset(token)
    assert "request_id" not in json.loads(log.JsonFormatter().format(record()))


def test_traceback_stays_in_one_json_line():
    """A crash is one line for the collector."""
    try:
        raise ValueError("boom")
    except ValueError:
        line = log.JsonFormatter().format(record(exc_info=sys.exc_info()))

    assert "\n" not in line
    assert "ValueError: boom" in json.loads(line)["traceback"]


def test_what_json_cannot_hold_is_text():
    """An odd extra does not lose the line."""
    assert json.loads(log.JsonFormatter().format(record(path={1, 2})))["path"] == "{1, 2}"


def test_keys_are_struck_out_wherever_they_stand():
    """In messages, extras and tracebacks, whoever logs them; secrets too, however JSON spells them."""
    key = "sk-wf-abcdefgh-0123456789012345678901234567890123456789012"
    hidden_as_is = 'worker"tökén'
    try:
        raise ValueError(f"Bearer {key}")
    except ValueError:
        trouble = sys.exc_info()
    for inner in (log.JsonFormatter(), log.TextFormatter()):
        discreet = log.Discreet(inner, [hidden_as_is, None, "", "ready"])
        given = record(
            f"token={hidden_as_is}", exc_info=trouble, url=f"/?api_key={key}", header="Authorization: Bearer abc"
        )
        line = discreet.format(given)
        assert line.count(log.STRUCK_OUT) >= 4
        for hidden in ("abcdefgh", "0123456789", "token=w", "kén", "Bearer abc"):
            assert hidden not in line
        harmless = record("ready, disk-whatever-long, task-number-5")
        assert discreet.format(harmless) == inner.format(harmless)
