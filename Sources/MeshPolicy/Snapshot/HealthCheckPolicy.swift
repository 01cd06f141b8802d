package import MeshCore

/// How proxies ask the endpoints of a backend whether they are well, whether or not there are requests.
///
/// Each proxy asks each endpoint once per interval, whatever the number of its workers. An endpoint that was not asked yet counts
/// as well: a policy that is new takes nobody out before there is evidence.
package struct HealthCheckPolicy: Hashable, Sendable {
  package enum Probe: Hashable, Sendable {
    case http(HTTPProbe)
    /// `grpc.health.v1.Health/Check` of this service; empty: of the server as a whole.
    case grpc(service: String)
    /// A connection, closed at once.
    case tcp
  }

  package struct HTTPProbe: Hashable, Sendable {
    package var path: String
    package var method: Method
    /// Nil: the name of the backend.
    package var host: String?
    /// Statuses that tell of health.
    package var expectedStatuses: [ClosedRange<UInt16>]

    package enum Method: UInt8, Hashable, Sendable { case get, head }

    package init(
      path: String = "/", method: Method = .get, host: String? = nil,
      expectedStatuses: [ClosedRange<UInt16>] = [200...299]
    ) {
      self.path = path
      self.method = method
      self.host = host
      self.expectedStatuses = expectedStatuses
    }

    package func expects(_ status: UInt16) -> Bool { expectedStatuses.contains { $0.contains(status) } }
  }

  package var probe: Probe
  /// From the end of a check to the beginning of the next.
  package var interval = TimeSpan.seconds(10)
  /// Random addition to the interval, in percent of it, so that checks of many proxies do not come together.
  package var jitterPercent: UInt32 = 20
  /// A check that took longer has failed.
  package var timeout = TimeSpan.seconds(1)
  /// Failed checks in a row that take an endpoint out, and good ones that bring it back. The first check decides alone.
  package var unhealthyThreshold: UInt32 = 3
  package var healthyThreshold: UInt32 = 2

  package init(probe: Probe) { self.probe = probe }

  /// The wait before the first check: at most a second, so that a thousand endpoints are not asked at once.
  package func firstWait(_ random: inout SeededRandom) -> TimeSpan {
    .nanoseconds(Int64(Double(min(interval, .seconds(1)).nanoseconds) * random.unit()))
  }

  package func nextWait(_ random: inout SeededRandom) -> TimeSpan {
    let interval = Double(interval.nanoseconds)
    return .nanoseconds(Int64(interval * (1 + Double(jitterPercent) / 100 * random.unit())))
  }
}
