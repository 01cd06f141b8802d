"""The order of a round and the rendering of configurations."""

import pathlib

import pytest

from harness.context import CONFIGS, BenchError, Context, expand
from harness.rounds import order


def test_every_peer_is_in_every_round_and_first_once():
    names = ["direct", "apus", "nginx", "haproxy", "envoy"]
    rounds = [order(names, number) for number in range(5)]
    assert all(sorted(each) == sorted(names) for each in rounds)
    assert len({tuple(each) for each in rounds}) == 5
    assert rounds[0] == names
    assert rounds[1] == ["direct", "envoy", "haproxy", "nginx", "apus"]


def test_includes_keep_their_indentation_and_an_empty_one_is_dropped(monkeypatch, tmp_path):
    monkeypatch.setattr("harness.context.CONFIGS", tmp_path)
    (tmp_path / "outer").write_text("a:\n  @include @WHAT@\n@include @NOTHING@\nend\n")
    (tmp_path / "inner").write_text("b: @PORT@\nc:\n  - d\n")
    assert expand("outer", {"WHAT": "inner", "NOTHING": "", "PORT": 80}) == "a:\n  b: 80\n  c:\n    - d\nend\n"


def test_a_value_that_is_missing_is_an_error(tmp_path):
    context = Context(root=pathlib.Path("."), work=tmp_path, file_limit=1024)
    with pytest.raises(BenchError, match="@BACKEND_PORT@"):
        context.render("haproxy-http1.cfg", "x.cfg", PORT=1, WORKERS=1)


def test_every_configuration_says_what_it_is():
    fragments = {"nginx-main.conf", "nginx-http.conf"}
    for path in CONFIGS.iterdir():
        is_fragment = path.name in fragments or any(
            part in path.name for part in ("hop", "-tls.yaml", "-tls-tcp.yaml", "cluster", "upstream"))
        assert is_fragment or path.read_text().startswith("# "), path.name
