import MeshCore
import MeshRuntime
import MeshTelemetry

/// Ends connections of the mesh whose peers are not believed any more.
///
/// A revoked certificate or a denied identity ends them at once, with what they carry. Where nothing speaks against the peer but what
/// proved it is gone (an anchor was removed), the connection takes no more requests, those under way may end, and after
/// `ProxyLimits.unprovenGrace` it is cut; the next request makes the peer prove itself anew. Confined to one worker loop.
final class TrustWatch: TimerHandler {
  unowned(unsafe) private let worker: ProxyWorker
  private var trust: PeerTrust?
  private lazy var timer = LoopTimer(owner: self, tag: 0)

  init(_ worker: ProxyWorker) { self.worker = worker }

  /// Pools and the contexts of later handshakes stay as they are: an anchor that was added costs nobody a connection.
  func replace(_ trust: PeerTrust) {
    self.trust = trust
    worker.identity?.clientContext.replaceTrust(trust)
    worker.identity?.serverContext.replaceTrust(trust)
    var waits = false
    worker.loop.judgePeers(by: trust) { connection, verdict in
      switch verdict {
      case .refused(let failure, let detail):
        end(connection, failure, detail)
      case .unproven:
        guard let drainable = connection.handler as? any Drainable else {
          return end(connection, .unknownAuthority, Self.unproven)
        }
        waits = true
        drainable.drain()
      }
    }
    if waits { worker.loop.schedule(timer, after: worker.limits.unprovenGrace) }
  }

  func timerFired(_ timer: LoopTimer) {
    guard let trust else { return }
    worker.loop.judgePeers(by: trust) { connection, verdict in
      switch verdict {
      case .refused(let failure, let detail): end(connection, failure, detail)
      case .unproven: end(connection, .unknownAuthority, Self.unproven)
      }
    }
  }

  private static let unproven = "the anchor that proved the peer is not trusted any more"

  private func end(_ connection: Connection, _ failure: TLSFailure, _ detail: String) {
    let direction: TrafficDirection = connection.isTLSClient ? .outbound : .inbound
    worker.metrics.tlsEnded(direction, failure.label)
    let peer = connection.tls?.peerIdentity?.description ?? "an unknown peer"
    worker.log?.warning("connection with \(peer) at \(connection.peerAddress) cut: \(failure): \(detail)")
    connection.abort(.tls(failure, detail: detail))
  }
}

extension HTTP2ClientConnection: Drainable {
  func drain() { retire() }
}
