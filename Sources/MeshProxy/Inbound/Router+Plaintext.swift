import MeshCore
import MeshPolicy
import MeshRuntime
import MeshTelemetry

extension Router {
  /// A request that came without a certificate of the mesh. False: it has its answer.
  func admitsPlaintext(_ exchange: Exchange, to port: InboundPortEntry) -> Bool {
    let isAllowed = port.meshTLS != .strict
    worker.metrics.countPlaintext(isAllowed: isAllowed)
    if let peer = exchange.downstream.peerAddress {
      let isNoted = worker.plaintext.note(
        peer, port: port.config.port, isAllowed: isAllowed, now: worker.loop.now)
      if !isNoted { worker.metrics.limitHit("plaintext_callers") }
      if !isAllowed, let log = worker.log, worker.plaintext.mayLog(worker.loop.now) {
        log.warning("plaintext from \(peer) to port \(port.config.port) refused: its MeshTLS is strict")
      }
    }
    if !isAllowed { exchange.fail(.plaintextRefused) }
    return isAllowed
  }
}

extension ProxyError {
  static let plaintextRefused = ProxyError(
    status: 403, flag: .unauthorized, origin: .downstream, retry: .no,
    reason: "plaintext refused: MeshTLS is strict here; call through the mesh (apus run), or see `apus get meshtls`")
}
