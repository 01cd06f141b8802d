/// The labels of connection counters.
package struct ConnectionSeries: Hashable, Sendable {
  package var direction: TrafficDirection
  package var peer: TrafficPeer
  package var security: TrafficSecurity

  package init(_ direction: TrafficDirection, _ peer: TrafficPeer, _ security: TrafficSecurity) {
    self.direction = direction
    self.peer = peer
    self.security = security
  }

  static let count = 8

  @inline(__always)
  var index: Int { Int(direction.rawValue) << 2 | Int(peer.rawValue) << 1 | Int(security.rawValue) }

  init(index: Int) {
    direction = index & 4 == 0 ? .inbound : .outbound
    peer = index & 2 == 0 ? .source : .destination
    security = index & 1 == 0 ? .mutual : .none
  }
}

/// How often something with a name happened.
struct ReasonCount: Sendable {
  enum Kind: UInt8, Sendable { case tlsFailure, tlsHandshake, tlsEnded, protocolError, limit, plaintext, reserved }

  let kind: Kind
  let direction: TrafficDirection
  let reason: StaticString
  var count: UInt64

  func isFor(_ kind: Kind, _ direction: TrafficDirection, _ reason: StaticString) -> Bool {
    guard self.kind == kind, self.direction == direction else { return false }
    if !self.reason.hasPointerRepresentation || !reason.hasPointerRepresentation {
      return "\(self.reason)" == "\(reason)"
    }
    if self.reason.utf8Start == reason.utf8Start { return self.reason.utf8CodeUnitCount == reason.utf8CodeUnitCount }
    let a = UnsafeBufferPointer(start: self.reason.utf8Start, count: self.reason.utf8CodeUnitCount)
    let b = UnsafeBufferPointer(start: reason.utf8Start, count: reason.utf8CodeUnitCount)
    return a.elementsEqual(b)
  }
}

/// The values of one shard at one moment.
package struct MetricsSnapshot: Sendable {
  struct Series: Sendable {
    var key: RequestSeriesKey
    var latency: Int32
    var requests: UInt64 = 0
    /// Head of the series' list of response cells, -1 if empty.
    var firstCell: Int32 = -1
  }

  /// Responses of one series with one status and flag.
  struct Cell: Sendable {
    var series: Int32
    var status: UInt16
    var flag: ResponseFlag
    var grpc: GRPCOutcome
    var next: Int32
    var count: UInt64 = 0
  }

  struct Connections: Sendable {
    var opened: UInt64 = 0
    var closed: UInt64 = 0
    var read: UInt64 = 0
    var written: UInt64 = 0
  }

  /// Statuses that stand for "overflow" of successes and failures.
  static let overflowSuccess: UInt16 = 65_534
  static let overflowFailure: UInt16 = 65_535

  var series: [Series] = []
  var cells: [Cell] = []
  var overflowCells = 0
  var latencyKeys: [LatencySeriesKey] = []
  /// `LatencyBuckets.count` numbers per histogram, not cumulative.
  var latencyCounts: [UInt64] = []
  var latencySums: [UInt64] = []
  var connections = [Connections](repeating: .init(), count: ConnectionSeries.count)
  var reasons: [ReasonCount] = []
  var retries: [RetrySeriesKey: UInt64] = [:]
  var backendEvents: [BackendSeriesKey: UInt64] = [:]
  var compression: [CompressionSeriesKey: CompressionCounts] = [:]
  var faults: [FaultSeriesKey: UInt64] = [:]
  var authorizations: [AuthorizationSeriesKey: UInt64] = [:]
  var tokens: [TokenSeries] = []
  var egress: [EgressSeriesKey: UInt64] = [:]
  var overflows: UInt64 = 0
  var strings: [String] = []

  mutating func reserve() {
    series.reserveCapacity(64)
    cells.reserveCapacity(128)
    reasons.reserveCapacity(16)
  }

  /// 5xx, or no response at all; for a gRPC call its outcome decides, too.
  package static func isFailure(_ status: UInt16, _ flag: ResponseFlag, _ grpc: GRPCOutcome) -> Bool {
    if status == 0 || (500...599).contains(status) || status == overflowFailure { return true }
    // A client that ends a call it has had an answer to, such as a subscription, leaves it without a status.
    return grpc == .noStatus ? flag != .downstreamTermination : grpc.isServerFault
  }
}
