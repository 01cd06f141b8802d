import MeshCore
import MeshRuntime
import MeshTelemetry

// What of TLS is refused: counted each time, and said with what the peer showed.
extension ProxyWorker {
  /// A handshake that failed, or what ended an established session.
  func refusedTLS(
    _ direction: TrafficDirection, byClient: Bool, _ address: SocketAddress, _ failure: TLSFailure, _ detail: String
  ) {
    metrics.tlsFailure(direction, failure)
    guard let log, let withheld = tlsLog.admit(failure, now: loop.now) else { return }
    let more = withheld > 0 ? " (and \(withheld) more since the last such line)" : ""
    let what = byClient ? "from \(address) refused" : "to \(address) failed"
    log.warning("TLS \(what): \(failure): \(detail)\(more)")
  }

  /// A server outside the mesh did not prove what it should, or refused this proxy.
  func tlsRefused(_ address: SocketAddress, _ failure: TLSFailure, _ detail: String) -> ProxyError {
    refusedTLS(.outbound, byClient: false, address, failure, detail)
    return ProxyError.tls(failure)
  }

  /// An accepted connection has closed, perhaps for something that its client did in TLS after the handshake.
  func noteEnd(of connection: Connection, _ entry: EntryPoint, _ reason: CloseReason) {
    guard case .tls(.renegotiation, let detail) = reason else { return }
    refusedTLS(entry.direction, byClient: true, connection.peerAddress, .renegotiation, detail)
  }
}

/// Which refusals of TLS are worth a line: for each reason one a second, so that a flood of one kind does not hide another.
struct TLSFailureLog {
  private static let interval = TimeSpan.seconds(1)

  private struct Entry {
    var next: Instant
    var withheld = 0
  }

  private var entries: [TLSFailure: Entry] = [:]

  /// How many lines of the kind were left out since the last one; nil when this is left out, too.
  mutating func admit(_ failure: TLSFailure, now: Instant) -> Int? {
    if let entry = entries[failure], now < entry.next {
      entries[failure]?.withheld = entry.withheld + 1
      return nil
    }
    let withheld = entries[failure]?.withheld ?? 0
    entries[failure] = Entry(next: now + Self.interval)
    return withheld
  }
}
