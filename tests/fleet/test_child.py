"""One child: its lines, its end, and the guarantee of the scope."""

import pytest

from fleet.child import running


async def test_lines_and_exit_code(standin):
    """Every line on stdout and stderr is passed on, then the exit code."""
    lines = []
    code = "import sys; print('one', flush=True); print('two', file=sys.stderr, flush=True); sys.exit(4)"

    async with running(standin(code)) as child:
        assert await child.wait(lines.append) == 4

    assert lines == ["one", "two"]
    assert repr(child) == "<Child worker-1 ended 4>"


async def test_line_without_end_is_survived(standin):
    """A line past the limit is dropped, what follows is heard."""
    lines = []
    code = "import sys; sys.stdout.write('x' * 3_000_000 + '\\n'); print('after')"

    async with running(standin(code)) as child:
        await child.wait(lines.append)

    assert lines[-1] == "after"
    assert sum(map(len, lines)) < 3_000_000


async def test_bytes_that_are_no_text(standin):
    """Whatever bytes a service prints come out as text."""
    lines = []

    async with running(standin("import os; os.write(1, b'\\xff!\\n')")) as child:
        await child.wait(lines.append)

    assert lines == ["\ufffd!"]


async def test_scope_ends_the_child(serving, unused_tcp_port, is_alive):
    """An exception inside the block leaves no process."""
    seen = []

    class Heard(Exception):
        pass

    def on_line(line):
        seen.append(line)
        if line.startswith("serving"):
            raise Heard

    with pytest.raises(Heard):
        async with running(serving(unused_tcp_port, "--family")) as child:
            await child.wait(on_line)

    pids = [int(line.split()[1]) for line in seen]
    assert len(pids) == 2
    assert not any(map(is_alive, pids))


async def test_drain_lets_it_finish(serving, unused_tcp_port):
    """A drained child ends by itself, with its own last words and exit code."""
    lines = []

    async with running(serving(unused_tcp_port)) as child:

        def on_line(line):
            lines.append(line.split()[0])
            if line.startswith("serving"):
                child.drain()

        assert await child.wait(on_line) == 0

    assert lines == ["serving", "draining"]
