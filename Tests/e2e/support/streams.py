"""gRPC streams in the background, one after another on each thread, by the real client library."""

import threading
import time

import grpc

from .waiting import until


class GrpcLoad:
    """Bidirectional streams of `messages` messages, one each `pause` seconds, on one channel. Nothing is tried again."""

    def __init__(self, port, streams=4, messages=20, pause=0.02):
        options = [("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1)]
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=options)
        self.messages, self.pause = messages, pause
        self.good, self.bad, self.stopping = 0, [], threading.Event()
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self._work, daemon=True) for _ in range(streams)]

    def _send(self):
        for number in range(self.messages):
            yield b"%d" % number
            time.sleep(self.pause)

    def _work(self):
        call = self.channel.stream_stream("/test.Streams/Echo")
        while not self.stopping.is_set():
            try:
                got = [answer for answer in call(self._send(), timeout=30)]
                problem = None if got == [b"%d" % number for number in range(self.messages)] else f"got {got}"
            except grpc.RpcError as error:
                problem = f"{error.code()}: {error.details()}"
            with self.lock:
                if problem:
                    self.bad.append(problem)
                else:
                    self.good += 1

    def __enter__(self):
        grpc.channel_ready_future(self.channel).result(10)
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join(30)
        self.channel.close()

    def after(self, good):
        wanted = self.good + good
        until(lambda: self.good >= wanted, f"{good} more gRPC streams; bad so far: {self.bad[-3:]}", 60)
        return self
