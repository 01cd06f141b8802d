package import MeshCore
package import MeshHTTP

/// Faults that some requests of a rule meet on purpose (kind `FaultInjection`). What is nil is not done.
///
/// One draw for each request decides about all of them together. Several policies of one rule draw independently.
package struct FaultPolicy: Hashable, Sendable {
  /// Where it comes from, for metrics and logs: `shop/slow-payments`.
  package var name: String
  /// Nil: every request of the rule.
  package var match: RouteMatch?
  /// Service accounts of callers as `namespace/name`; empty: everybody's.
  package var clients: [String]
  /// The share of the requests that match, in millionths.
  package var millionths: UInt32
  package var delay: FaultDelay?
  package var abort: FaultAbort?
  /// The client's stream or connection is reset in the place of an answer.
  package var isReset: Bool
  /// Bytes per second.
  package var requestRate: UInt64?
  package var responseRate: UInt64?
  /// The answer breaks off after so many bytes of its body.
  package var truncateAfter: UInt64?
  /// The share of the bytes of the answer's body that come with one bit flipped, in millionths.
  package var corruptMillionths: UInt32?
  package var schedule: FaultSchedule

  package init(
    name: String, match: RouteMatch? = nil, clients: [String] = [], millionths: UInt32 = 1_000_000,
    delay: FaultDelay? = nil, abort: FaultAbort? = nil, isReset: Bool = false, requestRate: UInt64? = nil,
    responseRate: UInt64? = nil, truncateAfter: UInt64? = nil, corruptMillionths: UInt32? = nil,
    schedule: FaultSchedule = FaultSchedule()
  ) {
    self.name = name
    self.match = match
    self.clients = clients
    self.millionths = millionths
    self.delay = delay
    self.abort = abort
    self.isReset = isReset
    self.requestRate = requestRate
    self.responseRate = responseRate
    self.truncateAfter = truncateAfter
    self.corruptMillionths = corruptMillionths
    self.schedule = schedule
  }
}

/// The distribution of a delay, by points of its quantile function. Between two points it is a straight line; below the first
/// point it rises from nothing, unless that is the quantile 0; above the last it stays.
package struct FaultDelay: Hashable, Sendable {
  package struct Point: Hashable, Sendable {
    /// In millionths, at most 1,000,000.
    package var quantile: UInt32
    package var delay: TimeSpan

    package init(quantile: UInt32, delay: TimeSpan) {
      self.quantile = quantile
      self.delay = delay
    }
  }

  /// Both parts ascend. Never empty.
  package var points: [Point]

  package init(points: [Point]) { self.points = points }

  package static func fixed(_ delay: TimeSpan) -> FaultDelay {
    FaultDelay(points: [Point(quantile: 0, delay: delay)])
  }

  /// The delay that a share `quantile` of all, in 0..<1, does not exceed.
  package func value(at quantile: Double) -> TimeSpan {
    var (from, below) = (0.0, 0.0)
    for point in points {
      let (to, above) = (Double(point.quantile) / 1e6, Double(point.delay.nanoseconds))
      if quantile < to {
        return TimeSpan(nanoseconds: Int64(below + (above - below) * (quantile - from) / (to - from)))
      }
      (from, below) = (to, above)
    }
    return TimeSpan(nanoseconds: Int64(below))
  }
}

/// The answer given in the backend's place.
package struct FaultAbort: Hashable, Sendable {
  /// Nil: only gRPC calls are aborted.
  package var status: UInt16?
  /// For gRPC calls. Nil: what gRPC clients make of `status`.
  package var grpcStatus: GRPCStatus?

  package init(status: UInt16? = nil, grpcStatus: GRPCStatus? = nil) {
    self.status = status
    self.grpcStatus = grpcStatus
  }

  /// By the names that gRPC's specification has for statuses.
  package static let grpcStatusNames: [String] = [
    "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
    "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
  ]

  package init(status: UInt16? = nil, grpcStatusName name: String?) {
    // The numbers follow OK, which is no failure.
    let index = name.flatMap(Self.grpcStatusNames.firstIndex)
    self.init(status: status, grpcStatus: index.flatMap { GRPCStatus(rawValue: UInt8($0 + 1)) })
  }

  /// `code` is gRPC's number; 0 stands for none. Nil where there is no such status.
  package init?(status: UInt16?, grpcCode code: UInt32) {
    guard let grpc = UInt8(exactly: code).flatMap(GRPCStatus.init(rawValue:)) else { return nil }
    self.init(status: status, grpcStatus: grpc == .ok ? nil : grpc)
  }

  package var grpcCode: UInt32 { UInt32(grpcStatus?.rawValue ?? 0) }

  package func applies(toGRPC isGRPC: Bool) -> Bool { isGRPC || status != nil }
}

/// When faults are injected, in Unix milliseconds. Proxies keep it by their own clocks: faults must end without a controller, too.
package struct FaultSchedule: Hashable, Sendable {
  package var start: Int64?
  /// The first moment without faults.
  package var end: Int64?
  /// Within `start` and `end`, the first `length` of every `period`, counted from `start`. Nil: all the time.
  package var windows: Windows?

  package struct Windows: Hashable, Sendable {
    /// Milliseconds.
    package var period: Int64
    package var length: Int64

    package init(period: Int64, length: Int64) {
      self.period = period
      self.length = length
    }
  }

  package init(start: Int64? = nil, end: Int64? = nil, windows: Windows? = nil) {
    self.start = start
    self.end = end
    self.windows = windows
  }

  package enum State: Hashable, Sendable { case notStarted, active, betweenWindows, ended }

  package func state(at now: Int64) -> State {
    if let end, now >= end { return .ended }
    if let start, now < start { return .notStarted }
    if let windows, (now - (start ?? 0)) % windows.period >= windows.length { return .betweenWindows }
    return .active
  }
}
