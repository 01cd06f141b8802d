import MeshCore
import MeshRuntime
import MeshTelemetry

// What of HTTP is refused or taken away before anybody judges the request: counted each time, and told in the log.
extension ProxyWorker {
  /// A peer broke HTTP. `reason` is the metric's label, `detail` a sentence.
  func brokeProtocol(
    _ direction: TrafficDirection, _ reason: StaticString, _ detail: StaticString, by connection: Connection
  ) {
    metrics.protocolError(direction, reason)
    guard let log, let withheld = protocolLines.admit(now: loop.now) else { return }
    log.warning("HTTP of \(connection.peerAddress) refused (\(reason)): \(detail)\(LogLines.more(withheld))")
  }

  /// A request came from outside of the mesh with fields that only proxies write, to tell of identities among them. They were taken out of it.
  func tookReservedFields(from exchange: Exchange, _ direction: TrafficDirection) {
    metrics.reservedFields(direction)
    guard let log, let withheld = reservedLines.admit(now: loop.now) else { return }
    let peer = exchange.downstream.peerAddress?.description ?? "an unknown address"
    log.warning(
      "fields that only proxies of the mesh write were taken out of a request of \(peer)\(LogLines.more(withheld))")
  }
}

/// One line a second, so that a flood of requests is no flood of lines.
struct LogLines {
  private static let interval = TimeSpan.seconds(1)
  private var next = Instant(nanoseconds: 0)
  private var withheld = 0

  /// How many lines were left out since the last one; nil when this is left out, too.
  mutating func admit(now: Instant) -> Int? {
    guard now >= next else {
      withheld += 1
      return nil
    }
    defer { withheld = 0 }
    next = now + Self.interval
    return withheld
  }

  static func more(_ withheld: Int) -> String {
    withheld > 0 ? " (and \(withheld) more since the last such line)" : ""
  }
}
