"""The proxies that are measured. `configs/` holds their configurations, tuned as their own documentation recommends."""

from peers.apus import Apus
from peers.base import Peer
from peers.direct import Direct
from peers.envoy import Envoy
from peers.haproxy import HAProxy
from peers.nginx import Nginx
from peers.traefik import Traefik

__all__ = ["KINDS", "Peer"]

# In the order of tables and plots.
KINDS = {kind.name: kind for kind in (Direct, Apus, Nginx, HAProxy, Envoy, Traefik)}
