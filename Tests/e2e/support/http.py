"""HTTP clients of the tests: one request, many on kept connections, a steady load in the background."""

import collections
import dataclasses
import http.client
import threading
import time

from .waiting import until


@dataclasses.dataclass
class Answer:
    status: int
    headers: dict
    body: bytes

    @property
    def text(self):
        return self.body.decode(errors="replace")


def read(response):
    return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())


def get(host, port, path="/", headers=None, timeout=10, method="GET", body=None):
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        return read(connection.getresponse())
    except http.client.HTTPException as error:
        raise OSError(f"no valid HTTP answer: {error!r}") from error
    finally:
        connection.close()


def via_proxy(proxy, url, headers=None, timeout=10):
    """A request in absolute form, as programs with `http_proxy` send it."""
    return get(proxy, 15001, url, headers, timeout)


def count(port, requests, path="/", header="x-version", headers=None, connections=4):
    """How often each value of a response header came in so many requests. Any status but 200 counts as 'status N'."""
    totals, lock = collections.Counter(), threading.Lock()

    def work(share):
        mine = collections.Counter()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        for _ in range(share):
            connection.request("GET", path, headers=headers or {})
            response = connection.getresponse()
            response.read()
            mine[response.getheader(header, "") if response.status == 200 else f"status {response.status}"] += 1
        connection.close()
        with lock:
            totals.update(mine)

    threads = [threading.Thread(target=work, args=(requests // connections,)) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return totals


def instances(port, requests=60):
    """The workloads that answered some of these requests."""
    return {name for name in count(port, requests, header="x-instance") if not name.startswith("status")}


class Load:
    """Requests in the background until the block ends. A client error is anything but an answer of status 200."""

    def __init__(self, port, path="/", connections=4, pause=0.002):
        self.port, self.path, self.pause = port, path, pause
        self.good, self.bad, self.versions, self.lock = 0, [], collections.Counter(), threading.Lock()
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._work, daemon=True) for _ in range(connections)]

    def _work(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        while not self.stopping.is_set():
            try:
                connection.request("GET", self.path)
                answer = read(connection.getresponse())
                problem = None if answer.status == 200 else f"{answer.status} {answer.text.strip()}"
            except (OSError, http.client.HTTPException) as error:
                problem = repr(error)
                connection.close()
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
            with self.lock:
                if problem:
                    self.bad.append((time.monotonic(), problem))
                else:
                    self.good += 1
                    self.versions[answer.headers.get("x-instance", answer.headers.get("x-version", ""))] += 1
            self.stopping.wait(self.pause)
        connection.close()

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join(15)

    def after(self, good):
        """Until so many more requests have succeeded."""
        wanted = self.good + good
        until(lambda: self.good >= wanted, f"{good} more good answers; bad so far: {self.bad[-3:]}", 30)
        return self
