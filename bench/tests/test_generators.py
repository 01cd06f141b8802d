"""Reading the load generators' output: what is not a clean run is an error."""

import pytest

from harness.context import BenchError
from harness.generators import milliseconds, parse_h2load, parse_wrk

WRK = """Running 3s test @ http://127.0.0.1:18000/
  1 threads and 64 connections
  Latency Distribution
     50%    0.88ms
     75%    1.02ms
     90%    1.31ms
     99%  845.00us
  168213 requests in 3.00s, 38.02MB read
{}Requests/sec:  56071.12
Transfer/sec:     12.67MB
"""

H2LOAD = """finished in 3.01s, 47456.00 req/s, 5.92MB/s
requests: 142368 total, 142624 started, 142368 done, {succeeded} succeeded, {failed} failed, {failed} errored, 0 timeout
status codes: {good} 2xx, 0 3xx, 0 4xx, {bad} 5xx
                     min         max         mean         sd        +/- sd
time for request:      251us     17.41ms      5.05ms      1.50ms    70.80%
"""


def test_a_clean_wrk_run_is_read():
    assert parse_wrk(WRK.format("")) == {
        "requests": 168213, "requests_per_second": 56071.12, "p50_ms": 0.88, "p99_ms": 0.845}


@pytest.mark.parametrize("line", [
    "  Socket errors: connect 0, read 1, write 0, timeout 0\n",
    "  Non-2xx or 3xx responses: 7\n",
])
def test_a_wrk_run_with_failures_is_an_error(line):
    with pytest.raises(BenchError, match="wrk saw failures"):
        parse_wrk(WRK.format(line))


def test_a_clean_h2load_run_is_read():
    clean = H2LOAD.format(succeeded=142368, failed=0, good=142368, bad=0)
    assert parse_h2load(clean) == {"requests": 142368, "requests_per_second": 47456.0, "mean_ms": 5.05, "max_ms": 17.41}


@pytest.mark.parametrize("counts", [
    {"succeeded": 142367, "failed": 1, "good": 142367, "bad": 1},
    {"succeeded": 142368, "failed": 0, "good": 142367, "bad": 1},
])
def test_an_h2load_run_with_failures_is_an_error(counts):
    with pytest.raises(BenchError, match="h2load saw failures"):
        parse_h2load(H2LOAD.format(**counts))


def test_responses_that_straddle_the_end_of_the_warm_up_are_no_failure():
    straddling = H2LOAD.format(succeeded=142368, failed=0, good=142368 - 256, bad=0)
    assert parse_h2load(straddling, in_flight=256)["requests"] == 142368
    with pytest.raises(BenchError, match="h2load saw failures"):
        parse_h2load(straddling, in_flight=255)


@pytest.mark.parametrize(("text", "value"), [("250us", 0.25), ("1.50ms", 1.5), ("2.00s", 2000.0), ("1.00m", 60000.0)])
def test_units_become_milliseconds(text, value):
    assert milliseconds(text) == value
