"""One requirement of an RFC: what a client sends, and what the server must do about it."""

import dataclasses
from collections.abc import Callable

from .frames import GOAWAY, HEADERS, RST_STREAM, headers, request

# A request whose answer does not come by itself (its stream is half closed by the client), and one whose body is open.
WAITING = headers(1, request(path="/slow/30"))
OPEN = headers(1, request("POST", "/upload"), end=False)


@dataclasses.dataclass
class Case:
    """`steps` are octets to send, or functions of the connection; `check` is a function of the connection."""

    name: str
    steps: list
    check: Callable
    starts: bool = True
    settings: tuple = ()

    def run(self, connection):
        if self.starts:
            connection.start(*self.settings)
        for step in self.steps:
            step(connection) if callable(step) else connection.send(step)
        self.check(connection)


def case(name, *steps, then, **options):
    return Case(name, list(steps), then, **options)


def answered(stream=1, status=200):
    """A step or a check: the stream gets its whole answer, and the connection lives."""
    def check(connection):
        got, _, _ = connection.answer(stream)
        assert got == status, got
        connection.round_trip()
    return check


def echoes(*lines, stream=1, without=()):
    """The backend was asked with these field lines; it answers GET /headers with what it got."""
    def check(connection):
        status, _, body = connection.answer(stream)
        got = body.decode("latin-1").splitlines()
        names = [line.split(":")[0].lower() for line in got]
        assert status == 200, (status, body)
        for line in lines:
            assert line in got, f"{line!r} is not among {got}"
        assert not set(without) & set(names), got
    return check


def closes_connection(code, last=None):
    """A connection error: one GOAWAY with this code as the last frame, then the end (RFC 9113, section 5.4.1)."""
    def check(connection):
        frames = connection.until_closed()
        farewells = [made for made in frames if made.kind == GOAWAY]
        assert [made.code for made in farewells] == [code], f"{frames}"
        assert frames[-1] is farewells[0], f"frames after GOAWAY: {frames}"
        if last is not None:
            assert farewells[0].last_stream == last, farewells[0]
    return check


def closes_without_an_answer(connection):
    assert connection.until_closed() == []


def resets(code, stream=1):
    """A stream error: RST_STREAM with this code, and nothing else suffers (RFC 9113, section 5.4.2)."""
    def check(connection):
        made = connection.until(lambda made: made.stream == stream and made.kind in (RST_STREAM, HEADERS)
                                or made.kind == GOAWAY)
        assert made.kind == RST_STREAM and made.code == code, made
        later = [made for made in connection.round_trip() if made.kind in (RST_STREAM, GOAWAY)]
        assert later == [], later
        connection.send(headers(99))
        assert connection.answer(99)[0] == 200
    return check


def ignored(connection):
    """No stream and no connection suffers, and a new request is served."""
    harmed = [made for made in connection.round_trip() if made.kind in (RST_STREAM, GOAWAY)]
    assert harmed == [], harmed
    connection.send(headers(99))
    assert connection.answer(99)[0] == 200


def parameters(cases):
    """Arguments for `pytest.mark.parametrize`; two cases of one name would hide each other."""
    names = [each.name for each in cases]
    assert len(set(names)) == len(names), [name for name in names if names.count(name) > 1]
    return {"argvalues": cases, "ids": names}
