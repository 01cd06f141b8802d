"""The workloads, (a) to (m), (p) and (t)."""

from workloads.authorization import Authorization
from workloads.handshakes import Handshakes, Resumed
from workloads.idle import Idle, IdleTLS
from workloads.latency import Latency, MeshLatency
from workloads.requests import HTTP1, HTTP2, Large, MeshGRPC, MeshHTTP1, MeshLarge
from workloads.routing import Routing
from workloads.scaling import Scaling
from workloads.storm import Storm
from workloads.streams import Bulk, Messages
from workloads.tokens import Tokens
from workloads.updates import Updates

ALL = tuple(kind() for kind in (
    HTTP1, MeshHTTP1, HTTP2, MeshGRPC, Bulk, Messages, Latency, MeshLatency, Idle, IdleTLS, Handshakes, Resumed,
    Large, MeshLarge, Scaling, Routing, Updates, Storm, Authorization, Tokens))
